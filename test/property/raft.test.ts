import * as fc from "fast-check";
import t from "tap";
import { RaftWorld, type WorldPlan } from "../support/raft/world.ts";

const seed = Number(process.env["FC_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`fast-check seed ${seed} (FC_SEED=${seed} repeats it)`);
fc.configureGlobal({ seed, numRuns: Number(process.env["FC_RUNS"] ?? 150) });

/** With pre-vote off, who was removed and does not know it disturbs for a while. */
const HEALING_TICKS_MAX = 1_000;

const plans: fc.Arbitrary<WorldPlan> = fc
  .record({
    seed: fc.nat(),
    voters: fc.integer({ min: 3, max: 5 }),
    preVote: fc.boolean(),
    checkQuorum: fc.boolean(),
    asyncStorage: fc.boolean(),
    leases: fc.boolean(),
    fewerMessages: fc.boolean(),
  })
  .map((plan) => ({ ...plan, leases: plan.leases && plan.checkQuorum }));

t.test(
  "whatever is lost, repeated, cut off or crashes, nothing that was agreed changes",
  async (t) => {
    let committed = 0;
    let ticksMax = 0;
    const totals = { terms: 0, votes: 0, reads: 0 };
    fc.assert(
      fc.property(plans, fc.integer({ min: 1_000, max: 20_000 }), (plan, events) => {
        const world = new RaftWorld(plan);
        for (let count = 0; count < events; count++) world.event();
        committed += world.invariants.commitMax;
        const { terms, votes, reads } = world.invariants.counts;
        totals.terms += terms;
        totals.votes += votes;
        totals.reads += reads;
        ticksMax = Math.max(ticksMax, world.heal(HEALING_TICKS_MAX));
      }),
    );
    t.comment(`${committed} entries committed under trouble, ${ticksMax} ticks to heal at most`);
    t.comment(`${totals.terms} terms with a leader, ${totals.votes} votes, ${totals.reads} reads`);
    t.ok(committed > 0 && totals.reads > 0, "something was agreed and read under trouble");
  },
);
