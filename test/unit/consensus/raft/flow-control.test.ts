import t from "tap";
import { ENTRY_OVERHEAD_BYTES } from "../../../../src/consensus/raft/entry.ts";
import type { AppendRequest } from "../../../../src/consensus/raft/message.ts";
import { commandsOf, RaftGroup } from "../../../support/raft/group.ts";

const command = (bytes: number): Uint8Array => Buffer.alloc(bytes, "x");

function appendsTo(group: RaftGroup, id: number): AppendRequest[] {
  return group.lost.filter((one): one is AppendRequest => one.kind === "append" && one.to === id);
}

t.test("a follower that does not answer gets no more messages than may be in flight", async (t) => {
  const group = new RaftGroup([1, 2, 3], { inflightMessagesMax: 4 });
  const leader = group.elect(1);
  group.cutOff(3);
  for (let at = 0; at < 20; at++) {
    leader.propose(command(10));
    group.settle();
  }
  const full = appendsTo(group, 3).filter(({ entries }) => entries.length > 0);
  t.equal(full.length, 4, "messages with entries");
  t.equal(leader.status().members.get(3)?.isFull, true);
  t.equal(commandsOf(group.node(2).applied).length, 20, "the others go on");

  group.loses = () => false;
  group.tick(3, [1]);
  t.equal(commandsOf(group.node(3).applied).length, 20, "a heartbeat finds out what was lost");
  t.equal(leader.status().members.get(3)?.inflightCount, 0);
});

t.test("bytes in flight are limited too", async (t) => {
  const limits = { messageBytesMax: 300, inflightBytesMax: 300 };
  const group = new RaftGroup([1, 2, 3], limits);
  const leader = group.elect(1);
  group.cutOff(3);
  for (let at = 0; at < 20; at++) {
    leader.propose(command(100));
    group.settle();
  }
  const bytes = appendsTo(group, 3).flatMap(({ entries }) =>
    entries.map(({ data }) => data.length),
  );
  t.equal(
    bytes.reduce((sum, one) => sum + one, 0),
    300,
  );
});

t.test("a message holds what fits, and one entry at least", async (t) => {
  const messageBytesMax = 4 * (100 + ENTRY_OVERHEAD_BYTES);
  const group = new RaftGroup([1, 2, 3], { messageBytesMax });
  const leader = group.elect(1);
  group.cutOff(3);
  for (let at = 0; at < 10; at++) leader.propose(command(100));
  leader.propose(command(5_000));
  group.settle();
  const sizes: number[] = [];
  group.loses = (message) => {
    if (message.kind === "append" && message.to === 3) sizes.push(message.entries.length);
    return false;
  };
  leader.reportUnreachable(3);
  group.tick(2, [1]);
  t.equal(Math.max(...sizes), 4, "as many as fit");
  t.equal(commandsOf(group.node(3).applied).length, 11, "also the one that is greater than that");
});

t.test("entries are handed out to be applied in pages", async (t) => {
  const group = new RaftGroup([1], { applyingBytesMax: 3 * (10 + ENTRY_OVERHEAD_BYTES) });
  const leader = group.elect(1);
  leader.proposeAll(Array.from({ length: 10 }, () => command(10)));
  const pages: number[] = [];
  while (leader.hasReady) {
    const before = group.node(1).applied.length;
    group.work(1);
    const count = group.node(1).applied.length - before;
    if (count > 0) pages.push(count);
  }
  t.same(pages, [3, 3, 3, 1]);
});

t.test("proposals are refused while too much waits to be committed", async (t) => {
  const group = new RaftGroup([1, 2, 3], { uncommittedBytesMax: 250 });
  const leader = group.elect(1);
  group.cutOff(1);
  t.equal(leader.propose(command(1_000)), undefined, "anything goes while nothing waits");
  t.equal(leader.propose(command(1)), "uncommitted-bytes");
  t.equal(leader.status().refusals.get("uncommitted-bytes"), 1);
  t.equal(leader.propose(new Uint8Array(0)), undefined, "what is empty always goes");
  t.equal(leader.status().uncommittedBytes, 1_000);
  group.settle();
  group.loses = () => false;
  group.tick(2, [1]);
  t.equal(leader.status().uncommittedBytes, 0, "what was applied waits no more");
  t.equal(leader.propose(command(1)), undefined);
});

t.test("what every follower would refuse is not put into the log", async (t) => {
  const limits = { messageBytesMax: 100, inflightBytesMax: 100, acceptedBytesMax: 1_000 };
  const leader = new RaftGroup([1], limits).elect(1);
  t.equal(leader.propose(command(1_000)), "too-large");
  t.equal(leader.propose(command(1_000 - ENTRY_OVERHEAD_BYTES)), undefined);
});

t.test("a follower far behind gets a snapshot, once", async (t) => {
  const group = new RaftGroup([1, 2, 3]);
  const leader = group.elect(1);
  group.cutOff(3);
  for (let at = 0; at < 5; at++) leader.propose(command(1));
  group.settle();
  const { storage } = group.node(1);
  const { commit, configuration } = leader.status();
  storage.createSnapshot(commit, configuration, Buffer.from("state"));
  storage.compact(commit);
  leader.reportUnreachable(3);
  let count = 0;
  group.loses = (message) => {
    if (message.kind === "snapshot") count++;
    return message.kind === "snapshot";
  };
  group.tick(5, [1]);
  t.equal(count, 1, "as long as nothing is known of the first");
  t.equal(leader.status().members.get(3)?.mode, "snapshot");

  group.loses = () => false;
  leader.reportSnapshot(3, false);
  group.tick(3, [1]);
  t.equal(leader.status().members.get(3)?.mode, "replicate");
  t.equal(group.raft(3).status().commit, commit);
  t.equal(Buffer.from(group.node(3).storage.snapshot()?.data ?? []).toString(), "state");
});
