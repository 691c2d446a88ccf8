import t from "tap";
import type { Message } from "../../../../src/consensus/raft/message.ts";
import type { RaftOptions } from "../../../../src/consensus/raft/options.ts";
import { commandsOf, RaftGroup } from "../../../support/raft/group.ts";

const HEARTBEAT_TICKS = 4;
const command = (text: string): Uint8Array => Buffer.from(text);

/** A group with a leader, and everything that it says from then on. */
function group(options: Partial<RaftOptions> = {}) {
  const all = { fewerMessages: true, checkQuorum: true, heartbeatTicks: HEARTBEAT_TICKS };
  const group = new RaftGroup([1, 2, 3], { ...all, electionTicks: 10, ...options });
  const leader = group.elect(1);
  // The first entry of the term is long past.
  group.tick(2 * HEARTBEAT_TICKS);
  const said: Message[] = [];
  group.loses = (message) => {
    said.push(message);
    return false;
  };
  return { group, leader, said };
}
const kinds = (said: readonly Message[]): Record<string, number> => {
  const count: Record<string, number> = {};
  for (const message of said) {
    const isEmpty = message.kind === "append" && message.entries.length === 0;
    const kind = isEmpty ? "commit" : message.kind;
    count[kind] = (count[kind] ?? 0) + 1;
  }
  return count;
};

t.test("whoever only hears of a commit does not answer, and applies it", async (t) => {
  const { group: quiet, leader, said } = group();
  leader.propose(command("one"));
  quiet.settle();
  t.same(kinds(said), { append: 2, "append-response": 2, commit: 2 });
  for (const id of [1, 2, 3]) t.same(commandsOf(quiet.node(id).applied), ["one"]);

  const { group: before, leader: other, said: all } = group({ fewerMessages: false });
  other.propose(command("one"));
  before.settle();
  t.same(kinds(all), { append: 2, "append-response": 4, commit: 2 });
});

t.test("an answer that was lost is asked for", async (t) => {
  const { group: lossy, leader } = group();
  lossy.loses = ({ kind, from }) => kind === "append-response" && from === 3;
  leader.propose(command("one"));
  lossy.settle();
  const match = () => leader.status().members.get(3)?.match ?? 0;
  const before = match();
  t.ok(before < leader.status().commit);
  lossy.loses = () => false;
  lossy.tick(2 * HEARTBEAT_TICKS);
  t.equal(match(), leader.status().commit);
});

t.test("an append that was lost is found out by what tells of its commit", async (t) => {
  const { group: lossy, leader } = group();
  let isLost = false;
  lossy.loses = (message) => {
    const isFirst = !isLost && message.kind === "append" && message.to === 3;
    if (isFirst) isLost = true;
    return isFirst;
  };
  leader.propose(command("one"));
  lossy.settle();
  t.ok(isLost);
  t.same(commandsOf(lossy.node(3).applied), ["one"], "without a tick");
});

t.test("an append is a sign of life: no heartbeat beside it", async (t) => {
  const { group: busy, leader, said } = group();
  for (let round = 0; round < 10; round++) {
    leader.propose(command(`${round}`));
    busy.tick(HEARTBEAT_TICKS - 1);
  }
  // After each of the two looks at the quorum nobody counts as heard of; it would be fourteen otherwise.
  t.ok((kinds(said)["heartbeat"] ?? 0) <= 4);
  t.equal(leader.status().role, "leader", "answers to appends keep the quorum");
  for (const id of [2, 3]) t.equal(busy.raft(id).status().leader, 1);
  said.length = 0;
  busy.tick(3 * HEARTBEAT_TICKS);
  t.equal(kinds(said)["heartbeat"], 6, "nothing to say: one each every four ticks");
});

t.test("a leader whose followers are slow to write stays one", async (t) => {
  const { group: slow, leader, said } = group();
  const answers: Message[] = [];
  slow.loses = (message) => {
    said.push(message);
    if (message.kind !== "append-response") return false;
    answers.push(message);
    return true;
  };
  for (let round = 0; round < 20; round++) {
    leader.propose(command(`${round}`));
    slow.tick(2);
  }
  t.ok((kinds(said)["heartbeat"] ?? 0) > 0, "they are asked for a sign of life as well");
  t.equal(leader.status().role, "leader");
  slow.loses = () => false;
  for (const answer of answers) leader.step(answer);
  slow.tick(2 * HEARTBEAT_TICKS);
  t.equal(commandsOf(slow.node(3).applied).length, 20);
});

t.test("a read is confirmed by heartbeats at once, however much was sent before", async (t) => {
  const { group: busy, leader } = group();
  leader.propose(command("one"));
  busy.settle();
  leader.readIndex(command("read"));
  busy.settle();
  t.equal(busy.node(1).reads.length, 1);
});

t.test("a lease lives from heartbeats: none is left out", async (t) => {
  const { group: leased, leader, said } = group({ readMode: "lease-based" });
  for (let round = 0; round < 4; round++) {
    leader.propose(command(`${round}`));
    leased.tick(HEARTBEAT_TICKS);
  }
  t.equal(kinds(said)["heartbeat"], 8);
});
