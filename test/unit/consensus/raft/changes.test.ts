import t from "tap";
import {
  type Change,
  type ChangeStep,
  changeOf,
  LEAVE_JOINT,
  proposalOf,
} from "../../../../src/consensus/raft/change.ts";
import { NO_DATA } from "../../../../src/consensus/raft/entry.ts";
import { MemoryLogStorage } from "../../../../src/consensus/raft/memory-log-storage.ts";
import { RaftNode } from "../../../../src/consensus/raft/node.ts";
import { defaultRaftOptions } from "../../../../src/consensus/raft/options.ts";
import { SeededRandom } from "../../../../src/platform/seeded-random.ts";
import { RaftGroup } from "../../../support/raft/group.ts";

const autoOf = (...steps: ChangeStep[]): Change => ({
  transition: "auto",
  steps,
  context: NO_DATA,
});

t.test("a change reads as it was written", async (t) => {
  const steps: ChangeStep[] = [
    { kind: "add-voter", id: 1 },
    { kind: "add-learner", id: 300 },
    { kind: "remove", id: Number.MAX_SAFE_INTEGER },
    { kind: "update", id: 0 },
  ];
  const change: Change = { transition: "explicit", steps, context: Buffer.from("why") };
  const read = changeOf(proposalOf(change, "change-v2"));
  t.same(read?.steps, steps);
  t.equal(read?.transition, "explicit");
  t.equal(Buffer.from(read?.context ?? []).toString(), "why");
  t.equal(proposalOf(LEAVE_JOINT, "change-v2").data.length, 0, "leaving takes no bytes");
  t.throws(() => proposalOf(change, "change-v1"), /one step/);
  t.throws(() => proposalOf(autoOf({ kind: "remove", id: -1 }), "change-v2"), /not the id/);
  const { data } = proposalOf(change, "change-v2");
  for (let length = 1; length < data.length - 3; length++)
    t.equal(changeOf({ kind: "change-v2", data: data.subarray(0, length) }), undefined);
});

t.test(
  "a change that leaves nobody to agree is not made, nor is one that is malformed",
  async (t) => {
    const group = new RaftGroup([1, 2]);
    const leader = group.elect(1);
    const everybody = autoOf({ kind: "remove", id: 1 }, { kind: "remove", id: 2 });
    t.equal(leader.proposeChange(everybody), undefined, "it is answered with an empty entry");
    group.settle();
    t.same(leader.status().configuration.voters, [1, 2]);
    t.equal(group.node(1).applied.at(-1)?.kind, "normal");
    t.equal(leader.applyChange(everybody), "removes-all-voters", "also if it were in the log");
    const proposal = { kind: "change-v2", data: Buffer.from([9, 9]) } as const;
    const forwarded = { kind: "propose", from: 2, to: 1, entries: [proposal] } as const;
    t.equal(leader.step(forwarded), "malformed-change");
  },
);

t.test("a member that is added catches up and counts", async (t) => {
  const group = new RaftGroup([1]);
  const leader = group.elect(1);
  group.add(2, new MemoryLogStorage());
  leader.proposeChange(autoOf({ kind: "add-voter", id: 2 }));
  group.tick(2);
  t.same(group.raft(2).status().configuration.voters, [], "not by a snapshot in which it is not");
  const { applied, configuration } = leader.status();
  group.node(1).storage.createSnapshot(applied, configuration, NO_DATA);
  group.tick(2);
  t.same(group.raft(2).status().configuration.voters, [1, 2]);
  group.cutOff(2);
  const { commit } = leader.status();
  leader.propose(Buffer.from("x"));
  group.settle();
  t.equal(leader.status().commit, commit, "nothing is agreed without it any more");
});

t.test(
  "whoever refuses a vote tells of commits, or nobody could be elected any more",
  async (t) => {
    const group = new RaftGroup([1, 2], { stepDownOnRemoval: true });
    const leader = group.elect(1);
    group.loses = ({ kind, to }) =>
      kind === "append" && to === 2 && leader.status().role !== "leader";
    leader.proposeChange(autoOf({ kind: "remove", id: 1 }));
    group.raft(1).propose(Buffer.from("only here"));
    const isLost = { commit: false };
    // The new member learns of the change, and never that it is committed.
    group.loses = (message) => {
      if (message.kind === "append" && message.commit >= 3) isLost.commit = true;
      const isTail = message.kind === "append" && message.index >= 3;
      return isLost.commit || isTail;
    };
    group.settle();
    t.same(leader.status().configuration.voters, [2], "the leader removed itself");
    t.same(group.raft(2).status().configuration.voters, [1, 2], "the other does not know");
    group.loses = () => false;
    group.tick(60);
    t.equal(group.raft(2).status().role, "leader");
    t.same(group.raft(2).status().configuration.voters, [2]);
  },
);

t.test("changes that a snapshot has overtaken do not change what is in force", async (t) => {
  const storage = new MemoryLogStorage();
  const before = { voters: [1, 2], outgoing: [], learners: [], learnersNext: [], autoLeave: false };
  storage.applySnapshot({ index: 1, term: 1, configuration: before, data: NO_DATA });
  const options = { ...defaultRaftOptions, id: 2, asyncStorage: true };
  const raft = new RaftNode(options, storage, new SeededRandom(1));
  const configuration = { ...before, voters: [1, 2, 3, 4] };
  const address = { from: 1, to: 2, term: 2 };
  raft.step({
    kind: "snapshot",
    ...address,
    snapshot: { index: 9, term: 2, configuration, data: NO_DATA },
  });
  const late = raft.applyChange(autoOf({ kind: "add-voter", id: 3 }));
  t.match(late, { voters: [1, 2, 3] }, "who applies it sees the members of then");
  t.same(raft.status().configuration, configuration, "those of the snapshot are in force");
});
