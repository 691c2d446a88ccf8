// What is special about Raft behind the seam: who lost its log is never taken for who it was, numbers are given once, and
// who comes is no burden before it has caught up.
import t from "tap";
import { encodeAside, encodeMessage } from "../../../../src/consensus/raft-member/message-codec.ts";
import { openRaftOrdering } from "../../../../src/consensus/raft-member/raft-ordering.ts";
import { OrderingWorld } from "../../../support/ordering-world.ts";

t.setTimeout(60_000);

function founded(seed: string, founders = 3, options = {}): Promise<OrderingWorld> {
  return OrderingWorld.founded({
    seed,
    founders,
    open: (parts) => openRaftOrdering(parts, options),
  });
}

/** Keeps an eye on who leads which term, from now on. */
function leadersByTerm(world: OrderingWorld): Map<number, Set<number>> {
  const leaders = new Map<number, Set<number>>();
  const look = (): void => {
    for (const id of world.running) {
      const { standing, term } = world.ordering(id).status();
      if (standing === "leading") leaders.set(term, (leaders.get(term) ?? new Set()).add(id));
    }
    world.clock.setTimer("look", 5, look);
  };
  look();
  return leaders;
}

t.test("a founder whose disk was wiped votes for nobody any more", async (t) => {
  for (let round = 0; round < 8; round++) {
    const world = await founded(`wiped founder ${round}`);
    const leaders = leadersByTerm(world);
    await world.until("somebody leads", () => world.leader() !== 0);
    const leader = world.leader();
    const [wiped = 0, other = 0] = [1, 2, 3].filter((id) => id !== leader);
    // It has voted for the leader, which the third one can not hear of, and forgets it.
    world.isolate(leader);
    world.wipe(wiped);
    await world.start(wiped);
    await t.rejects(world.submit(other, "by one and who forgot", 15_000), {
      code: "consensus.timeout",
    });
    t.ok(world.lost.has(wiped), "the other one has told it");
    t.equal(world.ordering(wiped).status().standing, "lost");
    world.heal();
    await world.submit(other, "by two");
    t.same(world.journal(other).values, ["first", "by two"]);
    for (const [term, { size }] of leaders) t.equal(size, 1, `one leader in term ${term}`);
  }
});

t.test(
  "a founder that is wiped while nobody else runs waits for the others for ever",
  async (t) => {
    const world = await founded("wiped alone");
    for (const id of [1, 2, 3]) world.crash(id, false);
    world.wipe(2);
    world.wipe(3);
    await world.start(2);
    await world.start(3);
    await t.rejects(world.submit(2, "a second history", 30_000), { code: "consensus.timeout" });
    await world.start(1);
    await world.until("both are told", () => world.lost.size === 2);
    t.same(world.journal(1).values, ["first"]);
  },
);

t.test("who came with a ticket can not come with it again", async (t) => {
  const world = await founded("used ticket");
  const leaders = leadersByTerm(world);
  await world.add(1, 4);
  await world.submit(4, "as a member");
  world.wipe(4);
  await world.start(4);
  t.equal(world.ordering(4).status().standing, "learning");
  await world.until("it is told", () => world.lost.has(4));
  t.equal(world.ordering(4).status().standing, "lost");
  await t.rejects(world.submit(4, "as who it was", 5_000), { code: "consensus.refused" });
  // Its number is taken out, and it comes back under another one.
  await world.remove(1, 4);
  world.wipe(4);
  await world.add(2, 4);
  await world.submit(4, "as somebody new");
  t.equal(world.journal(4).values.length, 3);
  for (const { size } of leaders.values()) t.equal(size, 1);
});

t.test("a log that lost something since is not opened", async (t) => {
  const world = await founded("damage");
  world.crash(2, true);
  for (const key of world.device(2).disk.range({ gte: "c/", lt: "c~", limit: 100 }))
    if (key[0].endsWith("/h") || key[0].endsWith("/i"))
      world.device(2).disk.apply([{ type: "del", key: key[0] }], true);
  await t.rejects(world.start(2), { name: "LostLogError" });
});

t.test("a number is given once", async (t) => {
  const world = await founded("numbers");
  const patience = { timeoutMs: 20_000 };
  const [early, late] = [world.peer(4), world.peer(5)];
  const ticket = world.ordering(1).ticket(early);
  const same = world.ordering(2).ticket(late);
  world.place(4, { kind: "join", ticket });
  await world.start(4);
  await world.wait(world.ordering(1).change({ kind: "add", peer: early, ticket }, patience));
  const second = world.ordering(2).change({ kind: "add", peer: late, ticket: same }, patience);
  await t.rejects(world.wait(second), { code: "consensus.refused", message: /out of date/ });
  await world.remove(1, 4);
  const again = world.ordering(1).change({ kind: "add", peer: early, ticket }, patience);
  await t.rejects(world.wait(again), { code: "consensus.refused", message: /out of date/ });
  t.equal(world.journal(1).voters.length, 3);
});

t.test("a group of one is not held up by who never comes", async (t) => {
  const world = await founded("absent", 1);
  const peer = world.peer(2);
  const ticket = world.ordering(1).ticket(peer);
  const change = world.ordering(1).change({ kind: "add", peer, ticket }, { timeoutMs: 120_000 });
  const refused = t.rejects(change, { code: "consensus.refused", message: /catch up/ });
  for (let count = 0; count < 5; count++) await world.submit(1, `value ${count}`, 2_000);
  t.equal(world.ordering(1).status().learners.length, 1);
  await world.run(60_000);
  await refused;
  t.same(world.ordering(1).status().learners, []);
  await world.add(1, 3);
  await world.submit(3, "of two");
  await t.rejects(
    world
      .wait(world.ordering(1).change({ kind: "remove", peer: world.peer(9) }, { timeoutMs: 5_000 }))
      .then(() => Promise.reject(new Error("no change"))),
    /no change/,
  );
  await world.remove(3, 1);
  await world.submit(3, "of one");
  await t.rejects(world.remove(3, 3), {
    code: "consensus.refused",
    message: /nobody would be left/,
  });
});

t.test("a group is founded by all founders, whenever each of them starts", async (t) => {
  const world = new OrderingWorld({
    seed: "late",
    founders: 3,
    open: (parts) => openRaftOrdering(parts),
  });
  const members = [1, 2, 3].map((id) => world.peer(id));
  for (const id of [1, 2, 3]) world.place(id, { kind: "found", members });
  await world.start(1);
  await world.start(2);
  await t.rejects(world.submit(1, "by two", 5_000), { code: "consensus.timeout" });
  t.equal(world.ordering(1).status().standing, "electing");
  t.throws(() => world.ordering(1).ticket(world.peer(4)), { code: "consensus.unready" });
  world.crash(1, true);
  await world.start(3);
  await world.run(3_000);
  await world.start(1);
  await world.submit(2, "by all");
  await world.until("all have it", () =>
    [1, 2, 3].every((id) => world.journal(id).values.length === 1),
  );
});

t.test("who lags hears members that it has not heard of", async (t) => {
  for (const dying of [1, 2]) {
    const world = await founded(`lag ${dying}`);
    await world.until("all have it", () => world.journal(3).values.length === 1);
    world.isolate(3);
    await world.add(1, 4);
    await world.submit(4, "without the third");
    world.crash(dying, true);
    world.heal();
    await world.submit(3, "with it");
    t.same(world.journal(3).values, ["first", "without the third", "with it"]);
  }
});

t.test("strangers, and members in the name of others, are not heard", async (t) => {
  const world = await founded("strangers");
  await world.until("somebody leads", () => world.leader() !== 0);
  const { term } = world.ordering(1).status();
  const vote = {
    kind: "vote" as const,
    to: 1,
    term: term + 5,
    index: 99,
    logTerm: 99,
    transfer: true,
  };
  const [, second = "", third = ""] = [1, 2, 3].map((id) => world.peer(id)).toSorted();
  const receiver = [1, 2, 3].find((id) => world.peer(id) < second) ?? 0;
  world.say(second, receiver, encodeMessage(7, { ...vote, from: 3 }));
  world.say(second, receiver, encodeMessage(7, { ...vote, from: 2 }));
  world.say(third, receiver, encodeMessage(7, { ...vote, from: 2 ** 40 }));
  world.say(world.peer(9), receiver, encodeMessage(7, { ...vote, from: 2 }));
  const notice = { kind: "notice" as const, from: 2, to: 1, log: 7, heardLog: 7 };
  world.say(world.peer(9), receiver, encodeAside({ ...notice, otherLog: true }));
  world.say(world.peer(9), receiver, encodeAside({ ...notice, otherLog: false }));
  world.say(second, receiver, Buffer.from("garbage"));
  await world.run(2_000);
  t.equal(world.ordering(receiver).status().term, term, "no vote was counted");
  t.same(world.offences, [`${second} malformed`]);
  t.same(world.lost, new Set());
});
