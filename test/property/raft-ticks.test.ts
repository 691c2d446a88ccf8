// A member sleeps through ticks in which nothing is done: many at once have to be the same as one after the other.
import assert from "node:assert/strict";
import * as fc from "fast-check";
import t from "tap";
import type { RaftOptions } from "../../src/consensus/raft/options.ts";
import { RaftGroup } from "../support/raft/group.ts";

const seed = Number(process.env["FC_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`fast-check seed ${seed} (FC_SEED=${seed} repeats it)`);
fc.configureGlobal({ seed, numRuns: Number(process.env["FC_RUNS"] ?? 300) });

const IDS = [1, 2, 3, 4];
const options: fc.Arbitrary<Partial<RaftOptions>> = fc.record({
  electionTicks: fc.integer({ min: 5, max: 20 }),
  heartbeatTicks: fc.integer({ min: 1, max: 4 }),
  preVote: fc.boolean(),
  checkQuorum: fc.boolean(),
  fewerMessages: fc.boolean(),
});
const step = fc.record({
  id: fc.constantFrom(...IDS),
  ticks: fc.integer({ min: 1, max: 50 }),
  proposes: fc.boolean(),
  cutOff: fc.subarray(IDS),
});

function withLearner(options: Partial<RaftOptions>): RaftGroup {
  return new RaftGroup([1, 2, 3], options, { learners: [4] });
}

/** A group whose words are remembered. */
function overheard(options: Partial<RaftOptions>): { group: RaftGroup; said: string[] } {
  return { group: withLearner(options), said: [] };
}

t.test("many ticks at once are many ticks", async (t) => {
  let said = 0;
  fc.assert(
    fc.property(options, fc.array(step, { maxLength: 40, size: "max" }), (options, steps) => {
      const [atOnce, oneByOne] = [overheard(options), overheard(options)];
      for (const { id, ticks, proposes, cutOff } of steps) {
        for (const { group, said } of [atOnce, oneByOne]) {
          group.loses = (message) => {
            said.push(JSON.stringify(message));
            return cutOff.includes(message.from) !== cutOff.includes(message.to);
          };
          if (proposes) group.raft(id).propose(new Uint8Array(1));
        }
        atOnce.group.raft(id).tick(ticks);
        for (let at = 0; at < ticks; at++) oneByOne.group.raft(id).tick();
        for (const { group } of [atOnce, oneByOne]) group.settle();
      }
      for (const id of IDS)
        assert.deepEqual(atOnce.group.raft(id).status(), oneByOne.group.raft(id).status());
      assert.deepEqual(atOnce.said, oneByOne.said);
      said += atOnce.said.length;
    }),
  );
  t.ok(said > 1_000, `${said} messages were compared`);
});

t.test("until a tick is due nothing is done", async (t) => {
  let quiet = 0;
  fc.assert(
    fc.property(options, fc.array(step, { maxLength: 40, size: "max" }), (options, steps) => {
      const group = withLearner(options);
      for (const { id, ticks, cutOff } of steps) {
        group.loses = ({ from, to }) => cutOff.includes(from) !== cutOff.includes(to);
        const raft = group.raft(id);
        const { ticksUntilDue } = raft;
        raft.tick(Math.min(ticks, ticksUntilDue - 1));
        if (raft.hasReady) throw new Error(`node ${id} had ${ticksUntilDue} ticks left`);
        if (ticksUntilDue > 1) quiet++;
        raft.tick();
        group.settle();
      }
    }),
  );
  t.ok(quiet > 1_000, `${quiet} times there was something to sleep through`);
});

t.test("who may not lead has nothing to wake for", async (t) => {
  const group = withLearner({});
  t.equal(group.raft(4).ticksUntilDue, Number.POSITIVE_INFINITY);
  group.raft(4).tick(1_000_000);
  t.equal(group.raft(4).hasReady, false);
});
