import * as fc from "fast-check";
import t from "tap";
import type { Message } from "../../src/consensus/raft/message.ts";
import { RaftGroup } from "../support/raft/group.ts";

const seed = Number(process.env["FC_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`fast-check seed ${seed} (FC_SEED=${seed} repeats it)`);
fc.configureGlobal({ seed, numRuns: Number(process.env["FC_RUNS"] ?? 300) });

const number = fc.oneof(
  fc.integer({ min: 0, max: 6 }),
  fc.constantFrom(-1, 0.5, Number.NaN, 2 ** 52, 2 ** 53, Number.POSITIVE_INFINITY),
);
const likely = fc.oneof({ weight: 30, arbitrary: fc.integer({ min: 0, max: 5 }) }, number);
const kinds = [
  "vote",
  "pre-vote",
  "vote-response",
  "pre-vote-response",
  "append",
  "append-response",
  "heartbeat",
  "heartbeat-response",
  "snapshot",
  "timeout-now",
  "transfer-leader",
  "propose",
  "read-index",
  "read-index-response",
  "something else",
];
const bytes = fc.oneof(fc.uint8Array({ maxLength: 8 }), fc.constant(null));
const entry = fc.record({
  term: likely,
  index: likely,
  kind: fc.constantFrom("normal", "change-v1", "change-v2", "other"),
  data: bytes,
});
const ids = fc.oneof(fc.constant([1, 2, 3]), fc.array(likely, { maxLength: 4 }));
const configuration = fc.record({
  voters: ids,
  outgoing: ids,
  learners: ids,
  learnersNext: ids,
  autoLeave: fc.boolean(),
});
const anything = fc.record({
  kind: fc.constantFrom(...kinds),
  from: fc.constantFrom(1, 3, 9, 0),
  to: fc.constant(2),
  term: likely,
  index: likely,
  logTerm: likely,
  commit: likely,
  rejectHint: likely,
  readRound: likely,
  sentTick: likely,
  target: likely,
  reject: fc.boolean(),
  transfer: fc.boolean(),
  context: bytes,
  entries: fc.oneof(fc.array(entry, { maxLength: 4 }), fc.constant(null)),
  snapshot: fc.record({ index: likely, term: likely, configuration, data: bytes }),
  committed: fc.option(fc.record({ index: likely, term: likely }), { nil: undefined }),
});
const action = fc.oneof(
  { weight: 8, arbitrary: anything },
  { weight: 2, arbitrary: fc.constant("tick" as const) },
  { weight: 3, arbitrary: fc.constant("work" as const) },
);

t.test("no peer can make a node throw, or lose what it has committed", async (t) => {
  let taken = 0;
  let refused = 0;
  fc.assert(
    fc.property(
      fc.array(action, { maxLength: 60, size: "max" }),
      fc.boolean(),
      (actions, preVote) => {
        const group = new RaftGroup([1, 2, 3], { preVote, checkQuorum: preVote });
        const { raft, storage } = group.node(2);
        let commit = 0;
        for (const one of actions) {
          if (one === "tick") raft.tick();
          else if (one !== "work") {
            if (raft.step(one as unknown as Message) === undefined) taken++;
            else refused++;
          } else if (raft.hasReady) group.work(2);
          const status = raft.status();
          if (status.commit < commit || status.commit > status.lastIndex)
            throw new Error(`committed ${status.commit} after ${commit}`);
          ({ commit } = status);
        }
        if (raft.hasReady) group.work(2);
        return storage.lastIndex() >= raft.status().commit;
      },
    ),
  );
  t.comment(`${taken} messages taken, ${refused} refused`);
  t.ok(taken > 0 && refused > 0, "some of both");
});
