// A change of members ends an epoch: whoever is away, alone, new or taken out gets to the next one, or learns that it is out.
import t from "tap";
import { decodeEnvelope, encodeEnvelope } from "../../../../src/consensus/pbft-member/envelope.ts";
import { signHandover } from "../../../../src/consensus/pbft-member/handover.ts";
import { GROUP, PbftMemberWorld } from "../../../support/pbft-member-world.ts";

t.setTimeout(60_000);
const FOUR = [1, 2, 3, 4];
const { pbft } = new PbftMemberWorld("").options;
/** Old enough words are forgotten soon. */
const SMALL = { pbft: { ...pbft, checkpointInterval: 4, windowSize: 8, chunkBytes: 512 } };

async function founded(seed: string, ids = FOUR, options = {}): Promise<PbftMemberWorld> {
  const world = new PbftMemberWorld(seed, options);
  await world.found(ids);
  await world.submit(1, "first");
  return world;
}

/** What a replica says that decides: commits, and decisions with their proof. */
function decides(bytes: Uint8Array): boolean {
  const envelope = decodeEnvelope(bytes);
  if (envelope?.kind !== "replica") return false;
  const [kind, vote] = envelope.bytes;
  return (kind === 2 && vote === 2) || kind === 7;
}

const epochOf = (world: PbftMemberWorld, id: number): number => world.member(id).counters().epoch;

t.test("one member alone has reached the end of an epoch, and leads all others on", async (t) => {
  const world = await founded("alone", [1, 2, 3, 4, 5]);
  world.lies = (_from, to, bytes) => (to !== 2 && decides(bytes) ? [] : [bytes]);
  const change = world.remove(5, 1, 120_000);
  await world.until("2 is there", () => epochOf(world, 2) === 1);
  t.same(
    [1, 3, 4, 5].map((id) => epochOf(world, id)),
    [0, 0, 0, 0],
  );
  // Without it and 5 the others are no quorum: they need what it has.
  world.crash(5, true);
  world.lies = (_from, _to, bytes) => [bytes];
  await change;
  await world.until("all are there", () => [1, 3, 4].every((id) => epochOf(world, id) === 1));
  await world.start(5);
  await world.until("5 is out", () => world.member(5).status().standing === "left");
  await world.submit(3, "in the new one");
  for (const id of FOUR) {
    await world.until("all have it", () => world.journal(id).length === 2);
    t.same(world.journal(id), ["first", "in the new one"]);
  }
});

t.test(
  "the one that is taken out was the only one to know: it tells, even after a restart",
  async (t) => {
    const world = await founded("told", [1, 2, 3, 4, 5]);
    world.lies = (_from, to, bytes) => (to !== 5 && decides(bytes) ? [] : [bytes]);
    const change = world.remove(5, 1, 120_000);
    await world.until("5 is out", () => world.member(5).status().standing === "left");
    world.crash(5, true);
    await world.start(5);
    t.equal(world.member(5).status().standing, "left");
    world.lies = (_from, _to, bytes) => [bytes];
    await change;
    t.same(world.voters(1), FOUR);
    await world.submit(2, "goes on");
  },
);

t.test("who was away through several changes follows them one by one", async (t) => {
  const world = await founded("away", [1, 2, 3, 4, 5], SMALL);
  world.crash(5, false);
  await world.add(6, 1);
  await world.remove(2, 3);
  for (let at = 0; at < 12; at++) await world.submit(3, `value ${at}`);
  await world.start(5);
  await world.until("it has all", () => world.journal(5).length === 13);
  t.equal(epochOf(world, 5), 2);
  t.same(world.voters(5), [1, 3, 4, 5, 6]);
  t.same(world.journal(5), world.journal(1));
  await world.submit(5, "takes part");
});

t.test("who is taken out while away learns it when it comes back", async (t) => {
  const world = await founded("out", [1, 2, 3, 4, 5]);
  world.crash(5, false);
  await world.remove(5, 1);
  await world.start(5);
  const waits = world.member(5).submit(Buffer.from("in vain"), { timeoutMs: 30_000 });
  const fails = t.rejects(waits, { code: "consensus.stopped" });
  await world.until("it knows", () => world.member(5).status().standing === "left");
  await world.run(100);
  await fails;
  t.throws(() => world.member(5).ticket(world.peer(6)), { code: "consensus.unready" });
});

t.test("who was taken out may come back, by a ticket that was made afterwards", async (t) => {
  const world = await founded("back", [1, 2, 3, 4, 5]);
  const old = world.member(1).ticket(world.peer(5));
  await world.remove(5, 1);
  await world.until("it knows", () => world.member(5).status().standing === "left");
  await world.submit(2, "without it");
  world.crash(5, true);
  const device = world.device(5);
  const begin = (ticket: Uint8Array): Promise<void> => {
    world.devices.set(5, { ...device, isOpened: false, beginning: { kind: "join", ticket } });
    return world.start(5);
  };
  await t.rejects(begin(old), { message: /resumes/ });
  const ticket = world.member(1).ticket(world.peer(5));
  await begin(ticket);
  const step = { kind: "add" as const, peer: world.peer(5), ticket };
  await world.wait(world.member(2).change(step, { timeoutMs: 60_000 }));
  await world.submit(5, "back");
  t.same(world.journal(5), ["first", "without it", "back"]);
});

t.test("who joins may stop on the way, and comes in by a ticket of an earlier epoch", async (t) => {
  const world = await founded("joins");
  const ticket = await world.join(6, 1);
  const early = world.member(6).submit(Buffer.from("early"), { timeoutMs: 120_000 });
  t.equal(world.member(6).status().standing, "learning");
  await world.add(5, 2);
  const step = { kind: "add" as const, peer: world.peer(6), ticket };
  const change = world.member(3).change(step, { timeoutMs: 60_000 });
  await world.run(30);
  world.crash(6, true);
  await t.rejects(early, { code: "consensus.stopped" });
  await world.wait(change);
  await world.start(6);
  await world.until("it is one of them", () => world.journal(6).length === 1);
  await world.submit(6, "of the sixth");
  t.equal(epochOf(world, 6), 2);
  t.same(world.voters(6), [1, 2, 3, 4, 5, 6]);
});

t.test("nothing of a past epoch stays on disk but how it ended", async (t) => {
  const world = await founded("tidy");
  for (let at = 0; at < 20; at++) await world.submit(1, `value ${at}`);
  await world.add(5, 1);
  await world.submit(5, "last");
  await world.run(5_000);
  for (const id of [...FOUR, 5]) {
    const { disk } = world.device(id);
    const past = disk.range({
      gte: `c/${GROUP}/e/`,
      lt: `c/${GROUP}/e/0000000000000001`,
      limit: 100,
    });
    t.same(past, []);
    t.equal(disk.range({ gte: `c/${GROUP}/p/`, lt: `c/${GROUP}/p/~`, limit: 9 }).length, 1);
  }
});

t.test("all members stop in the middle of a change, and go on", async (t) => {
  for (const atMs of [5, 15, 25, 35, 45, 60]) {
    const world = await founded(`stop ${atMs}`, [1, 2, 3, 4, 5]);
    const step = { kind: "remove" as const, peer: world.peer(5) };
    const change = world.member(1).change(step, { timeoutMs: 10_000 });
    const ended = change.catch(() => undefined);
    await world.run(atMs);
    for (const id of FOUR) world.crash(id, true);
    await ended;
    for (const id of FOUR) await world.start(id);
    await world.remove(5, 2);
    await world.submit(3, "goes on");
    await world.until("all have it", () =>
      FOUR.every((id) => world.journal(id).at(-1) === "goes on"),
    );
    t.same(world.voters(4), FOUR);
  }
});

t.test("nobody is led on by fewer than f + 1, or by wrong names", async (t) => {
  const world = await founded("forged");
  const { signer } = world.device(4);
  const handover = {
    epoch: 0,
    sequence: 1,
    members: [2, 3, 4, 5].map((id) => world.peer(id)).sort(),
    genesis: "ab".repeat(32),
  };
  const own = signHandover(signer, Buffer.from("something else"));
  const wrong = new Map([1, 2, 3].map((id) => [world.peer(id), own]));
  const say = (signatures: ReadonlyMap<string, Uint8Array>): void => {
    const bytes = encodeEnvelope({ kind: "handovers", handovers: [{ handover, signatures }] });
    world.device(1).process?.listener?.(world.peer(4), bytes);
  };
  for (let again = 0; again < 5; again++) say(wrong);
  say(new Map([["nobody", own]]));
  await world.run(5_000);
  t.equal(epochOf(world, 1), 0);
  t.equal(world.member(1).counters().refused.get("wrong-handover"), 6);
  await world.submit(1, "nothing has happened");
});

t.test("questions are answered once in a while, and not to strangers", async (t) => {
  const world = await founded("questions");
  await world.add(5, 1);
  await world.run(2_000);
  const sent: number[] = [];
  world.lies = (from, to, bytes) => {
    if (from === 1 && decodeEnvelope(bytes)?.kind === "handovers") sent.push(to);
    return [bytes];
  };
  const ask = encodeEnvelope({ kind: "ask", epoch: 0 });
  const { process } = world.device(1);
  for (let again = 0; again < 20; again++) process?.listener?.(world.peer(2), ask);
  process?.listener?.(world.peer(77), ask);
  process?.listener?.(world.peer(3), encodeEnvelope({ kind: "ask", epoch: 7 }));
  t.same(sent, [2]);
});

t.test(
  "the members of a group of four can not become fewer, nor more than there may be",
  async (t) => {
    const world = await founded("least");
    await t.rejects(world.remove(2, 1), { code: "consensus.refused", message: /fewer than 4/ });
    await t.rejects(world.remove(2, 1), { code: "consensus.refused" }, "and again");
    t.equal(epochOf(world, 1), 0);
  },
);
