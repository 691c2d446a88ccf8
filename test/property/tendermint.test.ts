import * as fc from "fast-check";
import t from "tap";
import { TendermintWorld } from "../support/tendermint/world.ts";
import type { WorldParts } from "../support/tendermint/world-parts.ts";

const seed = Number(process.env["FC_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`fast-check seed ${seed} (FC_SEED=${seed} repeats it)`);
fc.configureGlobal({ seed, numRuns: Number(process.env["FC_RUNS"] ?? 50) });

const TROUBLE_MS = 4_000;
const HEIGHTS_AFTER = 3;
const EVENTS_MAX = 400_000;

/** Liars come last, with less than 1/3 of the power at all times. */
const committees = fc.constantFrom(
  { powers: [1, 1, 1, 1], liars: 1 },
  { powers: [5, 3, 4, 5], liars: 1 },
  { powers: [10, 7, 9, 12], liars: 1 },
  { powers: [3, 2, 2, 3], liars: 0 },
  { powers: [1, 1, 1, 1, 1, 1, 1], liars: 2 },
  { powers: [9, 4, 7, 3, 8, 5, 10], liars: 2 },
  { powers: [2, 8, 5, 6, 2, 4, 3], liars: 2 },
);

const worlds: fc.Arbitrary<WorldParts> = fc
  .record({
    seed: fc.integer({ min: 0, max: 2 ** 31 - 1 }).map(String),
    committee: committees,
    manner: fc.constantFrom("silent", "equivocating", "lying", "replaying", "all"),
    dropRate: fc.constantFrom(0, 0.05, 0.2, 0.5),
    crashes: fc.boolean(),
    partitions: fc.boolean(),
  })
  .map(({ committee, ...rest }) => ({ ...rest, ...committee }));

const seven = { powers: [9, 4, 7, 3, 8, 5, 10], liars: 2 };
/**
 * Worlds that stood still once: a lock older than the rounds that are kept; a round that only one node that restarted had
 * been let into; two locks that liars made at one node each.
 */
const stoodStill: WorldParts[] = [
  { ...seven, seed: "31", manner: "equivocating", dropRate: 0.5, crashes: true, partitions: false },
  {
    powers: [1, 1, 1, 1],
    liars: 1,
    seed: "188",
    manner: "replaying",
    dropRate: 0.5,
    crashes: true,
    partitions: true,
  },
  { ...seven, seed: "279", manner: "all", dropRate: 0.05, crashes: false, partitions: false },
];

t.test("nobody honest contradicts anybody, and all go on when the trouble is over", async (t) => {
  let events = 0;
  let heights = 0;
  let offences = 0;
  const refusals = new Map<string, number>();
  fc.assert(
    fc.property(worlds, (parts) => {
      const world = new TendermintWorld(parts);
      world.runFor(TROUBLE_MS);
      const before = world.decidedByAny;
      const roundMax = world.roundMax + world.roundsOfAllTurns;
      world.heal(() => world.decidedByAll >= before + HEIGHTS_AFTER, EVENTS_MAX);
      for (const [height, { round }] of world.invariants.decisions)
        if (height > before && round > roundMax)
          throw new Error(`height ${height} took until round ${round}, beyond ${roundMax}`);
      events += world.events;
      heights += world.decidedByAll;
      offences += world.invariants.offences.size;
      for (const [kind, count] of world.refusals())
        refusals.set(kind, (refusals.get(kind) ?? 0) + count);
    }),
    { examples: stoodStill.map((parts): [WorldParts] => [parts]) },
  );
  t.comment(`${events} events, ${heights} heights, ${offences} offences told`);
  t.comment([...refusals].map(([kind, count]) => `${kind} ${count}`).join(", "));
  t.ok(heights > 0, "heights were decided");
});
