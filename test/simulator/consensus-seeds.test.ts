// Some seeds of the hunt for each protocol: whatever goes wrong, nothing that it promises is broken, and what clients saw is
// linearizable. `node test/consensus/hunt.ts` runs as many as one likes.
import t from "tap";
import { PROTOCOLS, type Protocol } from "../consensus/protocols.ts";
import { runSeed } from "../consensus/seed.ts";
import { commandFor } from "../consensus/shrink.ts";
import { addRun, noTotals } from "../consensus/totals.ts";

const FIRST_SEED = Number(process.env["SIM_FIRST_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const SEEDS = Number(process.env["SIM_SEEDS"] ?? 150);
t.setTimeout(300_000);
t.comment(`SIM_FIRST_SEED=${FIRST_SEED} SIM_SEEDS=${SEEDS} repeats these`);

for (const protocol of Object.keys(PROTOCOLS) as Protocol[])
  t.test(`${protocol}: ${SEEDS} seeds are well`, async (t) => {
    const totals = noTotals();
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
      const run = await runSeed(PROTOCOLS[protocol], seed);
      addRun(totals, run);
      const { violation } = run;
      const command = commandFor(protocol, seed, { without: new Set(), length: 1 });
      t.equal(violation?.what, undefined, `seed ${seed} is well; again: ${command}`);
    }
    const { events, operations, answered, decided, faults } = totals;
    t.ok(decided > 0 && answered > 0, "something was decided and answered");
    // A founder that is alone in a calm world is one seed in some ten thousand.
    t.ok(SEEDS === 1 || Object.keys(faults).length > 0, "things went wrong");
    t.comment(
      `${events} events, ${answered} of ${operations} operations answered, ${decided} decided`,
    );
    t.comment(JSON.stringify(faults));
  });

t.test("a seed is the same world each time", async (t) => {
  for (const world of Object.values(PROTOCOLS)) {
    const [one, other] = [await runSeed(world, FIRST_SEED), await runSeed(world, FIRST_SEED)];
    t.ok(one.operations > 0);
    t.same(one, other);
  }
});
