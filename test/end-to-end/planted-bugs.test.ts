// The test of the tests: each planted bug is found by the simulator, and without any there is nothing to find.
import t from "tap";
import { type PlantedBug, plantedBugs } from "../planted/bugs.ts";
import { runPlanted } from "../planted/hunt.ts";

/** A bug that takes more seeds than this is not caught. */
const SEEDS_MAX = 3;
const JOBS = 2;
// Every run is a process of its own, on a machine that may be busy.
t.setTimeout(880_000);

async function caughtBy(bug: PlantedBug): Promise<{ seed: number; how: string } | undefined> {
  for (let seed = 1; seed <= SEEDS_MAX; seed++) {
    const how = await runPlanted(bug, seed);
    if (how !== undefined) return { seed, how };
  }
  return undefined;
}

/** Runs what is given, some at a time. */
async function inTurns(works: readonly (() => Promise<void>)[]): Promise<void> {
  const rest = [...works];
  const worker = async (): Promise<void> => {
    for (let work = rest.shift(); work !== undefined; work = rest.shift()) await work();
  };
  await Promise.all(Array.from({ length: JOBS }, worker));
}

/** Worlds and seeds in which something was caught, by what they are. */
const caughtIn = new Map<string, { readonly world: PlantedBug; readonly seed: number }>();

t.test(`each is caught within ${SEEDS_MAX} seeds`, async (t) => {
  t.ok(plantedBugs.length >= 20);
  t.equal(new Set(plantedBugs.map(({ name }) => name)).size, plantedBugs.length);
  await inTurns(
    plantedBugs.map((bug) => async () => {
      const caught = await caughtBy(bug);
      t.ok(caught, `${bug.name}: ${bug.about}`);
      t.comment(`${bug.name}: seed ${caught?.seed}, ${caught?.how}`);
      if (caught === undefined) return;
      const { seed } = caught;
      caughtIn.set(`${(bug.options ?? []).join(" ")} seed ${seed}`, { world: bug, seed });
    }),
  );
});

t.test("without them the same seeds are well", async (t) => {
  t.not(caughtIn.size, 0);
  await inTurns(
    [...caughtIn].map(([what, { world, seed }]) => async () => {
      t.equal(await runPlanted(world, seed, false), undefined, what);
    }),
  );
});
