import t from "tap";
import { commandsOf, RaftGroup } from "../../../support/raft/group.ts";

t.test("leadership goes to a member that is up to date", async (t) => {
  const group = new RaftGroup([1, 2, 3], { preVote: true, checkQuorum: true });
  group.elect(1);
  t.equal(group.raft(1).transferLeader(3), undefined);
  group.settle();
  t.equal(group.raft(3).status().role, "leader", "also while everybody heard of the old one");
  t.equal(group.raft(1).status().leader, 3);
});

t.test("who is behind is brought up to date first", async (t) => {
  const group = new RaftGroup([1, 2, 3]);
  const leader = group.elect(1);
  group.cutOff(3);
  leader.propose(Buffer.from("x"));
  group.settle();
  group.loses = () => false;
  leader.transferLeader(3);
  t.equal(leader.propose(Buffer.from("y")), "transfer-in-progress");
  group.tick(2, [1]);
  t.equal(group.raft(3).status().role, "leader");
  t.same(commandsOf(group.node(3).applied), ["x"]);
});

t.test("a transfer that does not happen ends with the election timeout", async (t) => {
  const group = new RaftGroup([1, 2, 3]);
  const leader = group.elect(1);
  group.cutOff(3);
  leader.transferLeader(3);
  group.tick(9, [1, 2]);
  t.equal(leader.status().transferee, 3);
  group.tick(1, [1, 2]);
  t.equal(leader.status().transferee, 0);
  t.equal(leader.propose(Buffer.from("x")), undefined);
});

t.test("a follower asks the leader for it, and nobody else may", async (t) => {
  const group = new RaftGroup([1, 2, 3]);
  group.elect(1);
  group.raft(2).transferLeader(2);
  group.settle();
  t.equal(group.raft(2).status().role, "leader");
  const { term } = group.raft(2).status();
  const foreign = { kind: "transfer-leader", from: 9, to: 2, term, target: 1 } as const;
  t.equal(group.raft(2).step(foreign), "unknown-sender");
  const push = { kind: "timeout-now", from: 3, to: 1, term } as const;
  t.equal(group.raft(1).step(push), "not-the-leader");
});

t.test("a learner can not be made the leader", async (t) => {
  const group = new RaftGroup([1, 2], {}, { learners: [3] });
  const leader = group.elect(1);
  t.equal(leader.transferLeader(3), "unpromotable");
  t.equal(leader.transferLeader(9), "unpromotable");
  t.equal(group.raft(3).campaign(), "unpromotable");
});
