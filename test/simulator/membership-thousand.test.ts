import t from "tap";
import { World } from "./membership-world.ts";

const seed = process.env["SIM_SEED"] ?? String(Math.floor(Math.random() * 2 ** 31));
t.comment(`seed ${seed} (SIM_SEED=${seed} repeats it)`);
// A million records find their way, on a machine that may be busy.
t.setTimeout(400_000);

t.test("a thousand agents come in by one", async (t) => {
  const size = 1_000;
  const joined = new Uint32Array(size);
  let alarms = 0;
  const world = new World({
    seed: `${seed}/thousand`,
    onChange: ({ by, change }) => {
      if (change.kind === "joined") joined[by] = (joined[by] ?? 0) + 1;
      if (change.kind === "suspect" || change.kind === "dead") alarms++;
    },
  });
  world.add();
  for (let at = 1; at < size; at++) {
    world.add();
    world.introduce(at, 0);
    if (at % 10 === 0) world.run(10);
  }
  world.runUntil("all know all", () => joined.every((count) => count === size - 1), 60_000, 500);
  t.comment(
    `all know all after ${(world.nowMs / 1_000).toFixed(1)} s, ${(world.bytes / size / 1e3).toFixed(0)} kB sent by each`,
  );
  t.equal(alarms, 0);
  t.same(world.offences, []);
});
