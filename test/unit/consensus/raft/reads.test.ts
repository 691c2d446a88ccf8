import t from "tap";
import type { RaftOptions } from "../../../../src/consensus/raft/options.ts";
import { RaftGroup } from "../../../support/raft/group.ts";

const context = Buffer.from("read");
const leases = { readMode: "lease-based", checkQuorum: true } as const;

t.test("a quorum confirms the leader before a read is answered", async (t) => {
  const group = new RaftGroup([1, 2, 3]);
  const leader = group.elect(1);
  leader.propose(Buffer.from("x"));
  group.settle();
  leader.readIndex(context);
  group.work(1);
  t.same(group.node(1).reads, [], "not before somebody answered");
  leader.readIndex(context);
  group.settle();
  t.match(group.node(1).reads, [{ index: leader.status().commit, context }]);
});

t.test("a leader that was deposed and does not know it answers no read", async (t) => {
  const both: readonly Partial<RaftOptions>[] = [{}, leases];
  for (const options of both) {
    const group = new RaftGroup([1, 2, 3], options);
    group.elect(1);
    group.tick(2);
    group.cutOff(1);
    let heir = 0;
    // Clocks run alike.
    for (let tick = 0; tick < 40 && heir === 0; tick++) {
      group.tick(1);
      heir = [2, 3].find((id) => group.raft(id).status().role === "leader") ?? 0;
    }
    t.not(heir, 0, "another one was elected");
    group.raft(heir).propose(Buffer.from("newer"));
    group.settle();
    if (options.checkQuorum !== true)
      t.equal(group.raft(1).status().role, "leader", "the old one does not know");
    group.raft(1).readIndex(context);
    group.settle();
    t.same(group.node(1).reads, [], `${options.readMode ?? "safe"}: nothing stale`);
    group.raft(heir).readIndex(context);
    group.settle();
    t.equal(group.node(heir).reads[0]?.index, group.raft(heir).status().commit);
  }
});

t.test("a follower asks its leader", async (t) => {
  const group = new RaftGroup([1, 2, 3]);
  const leader = group.elect(1);
  group.raft(2).readIndex(context);
  group.settle();
  t.match(group.node(2).reads, [{ index: leader.status().commit, context }]);
  t.same(group.node(1).reads, [], "the answer is for who asked");
  t.equal(new RaftGroup([1, 2]).raft(1).readIndex(context), "no-leader");
});

t.test("reads wait for the first commit of the term, within a bound", async (t) => {
  const group = new RaftGroup([1, 2, 3], { pendingReadsMax: 2 });
  group.loses = ({ kind }) => kind === "append-response";
  const leader = group.elect(1);
  t.equal(leader.readIndex(context), undefined);
  t.equal(leader.readIndex(context), undefined);
  t.equal(leader.readIndex(context), "too-many-reads");
  group.settle();
  t.same(group.node(1).reads, []);
  group.loses = () => false;
  leader.reportUnreachable(2);
  group.tick(3, [1]);
  const { commit } = leader.status();
  t.same(
    group.node(1).reads.map(({ index }) => index),
    [commit, commit],
  );
});

t.test("with a lease the leader answers alone, for less than an election timeout", async (t) => {
  const group = new RaftGroup([1, 2, 3], leases);
  const leader = group.elect(1);
  group.tick(1);
  leader.readIndex(context);
  const sent = group.work(1);
  t.equal(group.node(1).reads.length, 1, "at once");
  t.same(sent, [], "nobody is asked");
  group.cutOff(1);
  group.tick(9, [1]);
  t.equal(leader.status().role, "leader", "it does not know yet");
  leader.readIndex(context);
  group.settle();
  t.equal(group.node(1).reads.length, 1, "the lease is over");
});

t.test("a lease is given up when somebody is told to campaign", async (t) => {
  const group = new RaftGroup([1, 2, 3], leases);
  const leader = group.elect(1);
  group.tick(1);
  group.loses = ({ kind }) => kind === "timeout-now";
  leader.transferLeader(2);
  group.settle();
  group.cutOff(1);
  leader.readIndex(context);
  group.settle();
  t.same(group.node(1).reads, []);
});

t.test("who may have promised not to vote keeps to it after a restart", async (t) => {
  const group = new RaftGroup([1, 2, 3], leases);
  group.elect(1);
  const { storage } = group.node(3);
  group.add(3, storage, leases);
  const request = { index: 9, logTerm: 9, transfer: false };
  const vote = { kind: "vote", from: 2, to: 3, term: 9, ...request } as const;
  t.equal(group.raft(3).step(vote), "leader-alive");
  group.cutOff(3);
  group.tick(10, [3]);
  t.equal(group.raft(3).step(vote), undefined, "an election timeout later it is free");
});

t.test("whoever is alone answers when its term has a commit", async (t) => {
  const group = new RaftGroup([1]);
  const leader = group.elect(1);
  leader.readIndex(context);
  group.settle();
  t.match(group.node(1).reads, [{ index: leader.status().commit }]);
  t.throws(() => leader.readIndex(new Uint8Array(257)), /256 bytes at most/);
});
