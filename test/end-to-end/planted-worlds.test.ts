// What is said of the planted bugs holds only if the worlds they are hunted in have nothing to find without them.
import { join } from "node:path";
import t from "tap";
import { plantedBugs } from "../planted/bugs.ts";
import { worldOf } from "../planted/hunt.ts";
import { runPlantedWith } from "../planted/planting.ts";
import { inTurns, SEEDS_MAX } from "../support/planted-seeds.ts";

const main = join(import.meta.dirname, "../../dist/main.js");
const seeds = ["--seed=1", `--seeds=${SEEDS_MAX}`, "--fail-fast", "--json"];

t.setTimeout(880_000);

t.test("each bug has a name of its own", async (t) => {
  t.equal(new Set(plantedBugs.map(({ name }) => name)).size, plantedBugs.length);
});

t.test("without bugs every seed of every world keeps every promise", async (t) => {
  const worlds = new Map(plantedBugs.map(worldOf).map((world) => [world.join(" "), world]));
  await inTurns([...worlds], async ([name, world]) => {
    const { code, out, err } = await runPlantedWith(undefined, [
      main,
      "simulate",
      ...world,
      ...seeds,
    ]);
    t.equal(code, 0, `${name}: ${err}`);
    const summary = JSON.parse(out.trim().split("\n").at(-1) ?? "") as {
      readonly seeds: number;
      readonly failed: unknown[];
    };
    t.equal(summary.seeds, SEEDS_MAX, name);
    t.same(summary.failed, [], name);
  });
});
