import t from "tap";
import { RaftGroup } from "../../../support/raft/group.ts";

t.test("with pre-vote, who was cut off comes back without deposing anybody", async (t) => {
  const group = new RaftGroup([1, 2, 3], { preVote: true, checkQuorum: true });
  const leader = group.elect(1);
  const { term } = leader.status();
  group.cutOff(3);
  group.tick(100);
  t.equal(group.raft(3).status().term, term, "it did not count terms");
  group.loses = () => false;
  group.tick(20);
  t.match(leader.status(), { role: "leader", term });
  t.equal(group.raft(3).status().leader, 1);
});

t.test("a leader without a quorum steps down", async (t) => {
  const group = new RaftGroup([1, 2, 3], { checkQuorum: true });
  group.elect(1);
  group.cutOff(1);
  group.tick(20, [1]);
  t.match(group.raft(1).status(), { role: "follower", leader: 0 });
});

t.test("a vote survives a restart", async (t) => {
  const group = new RaftGroup([1, 2, 3]);
  const request = { kind: "vote", to: 3, term: 9, index: 9, logTerm: 8, transfer: false } as const;
  group.raft(3).step({ ...request, from: 1 });
  const [granted] = group.work(3);
  t.match(granted, { kind: "vote-response", to: 1, reject: false });
  group.add(3, group.node(3).storage);
  group.raft(3).step({ ...request, from: 2 });
  t.match(group.work(3)[0], { kind: "vote-response", to: 2, reject: true });
});

t.test("who has less in its log is not elected", async (t) => {
  const group = new RaftGroup([1, 2, 3]);
  const leader = group.elect(1);
  group.cutOff(3);
  leader.propose(Buffer.from("x"));
  group.settle();
  group.loses = () => false;
  group.raft(3).campaign();
  group.settle();
  t.equal(group.raft(3).status().role, "follower");
});

t.test("proposals of followers go to the leader, unless that is not wanted", async (t) => {
  const group = new RaftGroup([1, 2, 3]);
  t.equal(group.raft(2).propose(Buffer.from("x")), "no-leader");
  const { commit } = group.elect(1).status();
  t.equal(group.raft(2).propose(Buffer.from("x")), undefined);
  group.settle();
  t.equal(group.raft(1).status().commit, commit + 1);
  const still = new RaftGroup([1, 2, 3], { disableForwarding: true });
  still.elect(1);
  t.equal(still.raft(2).propose(Buffer.from("x")), "forwarding-disabled");
});

t.test("what was committed before a restart is there after it", async (t) => {
  const group = new RaftGroup([1]);
  group.elect(1).propose(Buffer.from("x"));
  group.settle();
  const { commit, term } = group.raft(1).status();
  group.add(1, group.node(1).storage);
  t.match(group.raft(1).status(), { commit, term, applied: 1, role: "follower" });
  group.settle();
  t.equal(group.raft(1).status().applied, commit, "it is applied anew");
});

t.test(
  "a leader that its followers are ahead of learns so, with nothing but the paper's rules",
  async (t) => {
    const group = new RaftGroup([1], {}, { learners: [2] });
    group.elect(1);
    // Somebody who was removed and does not know it has driven the terms on: no vote of its own gets to the leader.
    const vote = { kind: "vote", from: 9, to: 2, term: 40, index: 1, logTerm: 1 } as const;
    group.raft(2).step({ ...vote, transfer: false });
    group.work(2);
    group.tick(30);
    group.raft(1).propose(Buffer.from("x"));
    group.settle();
    t.ok(group.raft(1).status().term > 40);
    t.equal(group.raft(2).status().applied, group.raft(1).status().applied);
  },
);
