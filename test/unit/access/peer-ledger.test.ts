// Offences, scores and bans.
import t from "tap";
import { BanList } from "../../../src/access/ban-list.ts";
import { PeerLedger } from "../../../src/access/peer-ledger.ts";
import type { VirtualDisk } from "../../../src/simulator/memory-key-value-store.ts";
import { VirtualClock } from "../../../src/simulator/virtual-clock.ts";
import { accessGround, accessOptions } from "../../support/access.ts";

const MINUTE = 60_000;

async function open(ban: object = {}, disk?: VirtualDisk, clock?: VirtualClock, bansMax = 1_024) {
  const ground = accessGround("hub", disk, clock);
  const banned: string[] = [];
  const bans = await BanList.open(ground.parts, { bansMax });
  const ledger = new PeerLedger({
    ...ground.parts,
    self: ground.signer.peerId,
    bans,
    settings: accessOptions({ ban }).ban,
    onBanned: (peer) => void banned.push(peer),
  });
  return { ...ground, bans, ledger, banned };
}

function offend(ledger: PeerLedger, peer: string, kind: string, times: number): void {
  for (let at = 0; at < times; at++) ledger.offence(peer, kind);
}

t.test(
  "a score leads to a ban, which ends by itself and is twice as long the next time",
  async (t) => {
    const { ledger, clock, banned, events } = await open();
    offend(ledger, "a", "malformed", 4);
    t.equal(ledger.isBanned("a"), false);
    t.match(ledger.scores(), [{ peer: "a", score: 80 }]);
    offend(ledger, "a", "malformed", 1);
    t.equal(ledger.isBanned("a"), true);
    t.same(banned, ["a"]);
    t.match(ledger.bans(), [
      { peer: "a", by: "automatic", reason: "malformed", endsInMs: 600_000, strikes: 0 },
    ]);
    await clock.advance(10 * MINUTE - 1);
    t.equal(ledger.isBanned("a"), true);
    await clock.advance(1);
    t.equal(ledger.isBanned("a"), false);
    ledger.sweep();
    offend(ledger, "a", "forged-grant", 2);
    t.match(ledger.bans(), [{ endsInMs: 1_200_000, strikes: 1 }]);
    await clock.advance(20 * MINUTE + 24 * 60 * MINUTE);
    ledger.sweep();
    offend(ledger, "a", "forged-grant", 2);
    t.match(ledger.bans(), [{ endsInMs: 600_000, strikes: 0 }], "forgiven after a day");
    t.same(
      events.map(({ type }) => type),
      [
        "mesh.peer-banned",
        "mesh.peer-unbanned",
        "mesh.peer-banned",
        "mesh.peer-unbanned",
        "mesh.peer-banned",
      ],
    );
  },
);

t.test("bans grow up to a bound", async (t) => {
  const { ledger, clock } = await open({ cooldownMs: 1_000, cooldownMaxMs: 5_000 });
  const lengths: (number | undefined)[] = [];
  for (let at = 0; at < 5; at++) {
    offend(ledger, "a", "malformed", 5);
    lengths.push(ledger.bans()[0]?.endsInMs);
    await clock.advance(5_000);
  }
  t.same(lengths, [1_000, 2_000, 4_000, 5_000, 5_000]);
});

t.test("scores halve with time; honest mistakes come to nothing", async (t) => {
  const { ledger, clock } = await open();
  offend(ledger, "a", "malformed", 4);
  await clock.advance(5 * MINUTE);
  t.match(ledger.scores(), [{ score: 40 }]);
  for (let hour = 0; hour < 24; hour++) {
    offend(ledger, "b", "malformed", 1);
    offend(ledger, "c", "denied", 6);
    await clock.advance(60 * MINUTE);
  }
  t.same(ledger.bans(), []);
  ledger.sweep();
  t.match(ledger.scores(), [], "and are forgotten");
  t.equal(ledger.counts()["denied"], 144);
  ledger.offence("d", "made up");
  t.equal(ledger.counts()["other"], 1, "kinds that nobody knows have no room of their own");
});

t.test(
  "a flood of offences makes no flood of lines, and none is lost from the count",
  async (t) => {
    const { ledger, clock, logged } = await open({ scoreLimit: 1e6 });
    offend(ledger, "a", "flood", 1_235);
    const lines = () => logged.filter(({ message }) => message === "a peer broke the rules");
    t.equal(lines().length, 1);
    await clock.advance(MINUTE);
    ledger.sweep();
    t.match(lines()[1]?.fields, { peer: "a", kind: "flood", more: 1_234 });
    await clock.advance(MINUTE);
    for (let peer = 0; peer < 5_000; peer++) ledger.offence(`fake${peer}`, "malformed");
    ledger.sweep();
    const told = lines().length - 2;
    t.ok(told <= 60, `${told} lines`);
    const rest = logged.find(({ message }) => message === "further peers broke the rules");
    t.equal(Number(rest?.fields["offences"]) + told, 5_000);
    t.ok(ledger.scores().length <= 1_024);
  },
);

t.test("people ban and lift bans; the device never bans itself", async (t) => {
  const { ledger, bans, store, signer, clock, notes } = await open();
  t.equal(ledger.ban("a", { reason: "stolen", by: "token:1" }), true);
  t.equal(ledger.ban("b", { reason: "noisy", by: "token:1", durationMs: 1_000 }), true);
  t.equal(ledger.ban(signer.peerId, { reason: "?", by: "token:1" }), false);
  offend(ledger, signer.peerId, "forged-grant", 10);
  t.equal(ledger.isBanned(signer.peerId), false);
  t.match(ledger.bans(), [
    { peer: "a", reason: "stolen", endsInMs: undefined },
    { peer: "b", endsInMs: 1_000 },
  ]);
  await bans.flush();
  const again = await open({}, store.disk, clock);
  await clock.advance(1e9);
  t.equal(again.ledger.isBanned("a"), true, "until it is lifted");
  t.equal(again.ledger.isBanned("b"), false);
  t.equal(again.ledger.unban("a", "token:2"), true);
  t.equal(again.ledger.unban("a", "token:2"), false);
  t.equal(again.ledger.isBanned("a"), false);
  await again.bans.flush();
  t.equal((await open({}, store.disk, clock)).ledger.isBanned("a"), false);
  t.match(notes, [{ actor: "token:1", action: "peer.banned", subject: "a", detail: "stolen" }, {}]);
});

t.test(
  "a clock that jumps neither ends nor lengthens a ban, and a reboot does not begin it anew",
  async (t) => {
    const clock = new VirtualClock();
    const first = await open({}, undefined, clock);
    offend(first.ledger, "a", "malformed", 5);
    clock.wallOffsetMs += 1e12;
    t.match(first.ledger.bans(), [{ endsInMs: 600_000 }]);
    clock.wallOffsetMs -= 2e12;
    t.match(first.ledger.bans(), [{ endsInMs: 600_000 }]);
    clock.wallOffsetMs += 1e12;
    await clock.advance(4 * MINUTE);
    first.bans.checkpoint();
    await first.bans.flush();

    // It wakes in 1970, and again: what had gone by counts all the same.
    clock.trusted = false;
    clock.wallOffsetMs = 0;
    clock.reboot();
    await clock.advance(MINUTE);
    const second = await open({}, first.store.disk, clock);
    t.match(second.ledger.bans(), [{ endsInMs: 300_000 }]);
    // Once the date is there it tells how long the device was off.
    clock.trusted = true;
    clock.wallOffsetMs = new VirtualClock().wallOffsetMs + 4 * MINUTE + 3 * MINUTE;
    t.match(second.ledger.bans(), [{ endsInMs: 120_000 }]);
    second.bans.checkpoint();
    await second.bans.flush();
    clock.reboot();
    clock.trusted = false;
    await clock.advance(MINUTE);
    const third = await open({}, first.store.disk, clock);
    t.match(third.ledger.bans(), [{ endsInMs: 60_000 }]);
    await clock.advance(MINUTE);
    t.equal(third.ledger.isBanned("a"), false);
  },
);

t.test("many fakes do not push out those that were banned longest or by people", async (t) => {
  const { ledger, clock, bans, logged } = await open({}, undefined, undefined, 10);
  ledger.ban("manual", { reason: "stolen", by: "token:1" });
  offend(ledger, "repeater", "malformed", 5);
  await clock.advance(10 * MINUTE);
  offend(ledger, "repeater", "malformed", 5);
  for (let fake = 0; fake < 100; fake++) offend(ledger, `fake${fake}`, "malformed", 5);
  t.equal(bans.size, 10);
  t.equal(ledger.isBanned("manual"), true);
  t.equal(ledger.isBanned("repeater"), true);
  t.equal(ledger.isBanned("fake99"), true);
  for (let at = 0; at < 20; at++) ledger.ban(`m${at}`, { reason: "x", by: "token:1" });
  t.equal(ledger.ban("one more", { reason: "x", by: "token:1" }), false);
  t.ok(logged.some(({ message }) => message.startsWith("a peer could not be banned")));
});

t.test(
  "records that can not be read are left out, and a write that failed is made up for",
  async (t) => {
    const { ledger, bans, store } = await open();
    const values = ["", "{", "null", "[]", '{"peer":"x"}', '{"peer":"y","reason":1}'];
    await store.write(
      values.map((value, at) => ({ type: "put", key: `g/b/${at}`, value: Buffer.from(value) })),
      { durable: true },
    );
    ledger.ban("a", { reason: "x", by: "token:1" });
    store.disk.bytesMax = 0;
    await t.rejects(bans.flush(), { code: "store.full" });
    t.equal(ledger.isBanned("a"), true);
    store.disk.bytesMax = Number.POSITIVE_INFINITY;
    await bans.flush();
    const again = await open({}, store.disk);
    t.same(
      again.ledger.bans().map(({ peer }) => peer),
      ["a"],
    );
    t.equal(again.logged.length, values.length);
  },
);
