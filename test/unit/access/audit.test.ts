// The audit log: what is kept, how little is written, and that nobody changes it unseen.
import t from "tap";
import { Audit } from "../../../src/access/audit.ts";
import { entryKey, HEAD_KEY } from "../../../src/access/audit-log.ts";
import { auditedEvents } from "../../../src/access/audited-events.ts";
import { Denials } from "../../../src/access/denials.ts";
import type { VirtualDisk } from "../../../src/simulator/memory-key-value-store.ts";
import { VirtualClock } from "../../../src/simulator/virtual-clock.ts";
import { accessGround } from "../../support/access.ts";

async function open(
  disk?: VirtualDisk,
  entriesMax = 100,
  clock = new VirtualClock(),
  name = "hub",
) {
  const ground = accessGround(name, disk, clock);
  return { ...ground, audit: await Audit.open(ground.parts, { entriesMax }) };
}

function fill(audit: Audit, count: number): void {
  for (let at = 0; at < count; at++)
    audit.note({ actor: "token:1", action: "peer.banned", subject: `p${at}`, outcome: "allowed" });
}

t.test("entries are written in one batch, seconds later, and on close", async (t) => {
  const { audit, store, clock } = await open();
  t.same(await audit.verify(), { sound: true, entries: 0 });
  fill(audit, 50);
  t.equal(store.written().syncs, 0);
  await clock.advance(5_000);
  t.equal(store.written().syncs, 1, "fifty entries, one sync");
  await clock.advance(60_000);
  t.equal(store.written().syncs, 1, "and none while nothing happens");
  fill(audit, 3);
  await audit.close();
  fill(audit, 3);
  t.equal(store.written().syncs, 2);
  const again = await open(store.disk);
  t.same(await again.audit.verify(), { sound: true, entries: 53 });
  t.same(again.logged, []);
});

t.test("pages go from the newest to the oldest, each entry once", async (t) => {
  const { audit } = await open();
  fill(audit, 25);
  await audit.flush();
  const seen: number[] = [];
  let before: number | undefined;
  do {
    const page = await audit.page({ limit: 10, ...(before === undefined ? {} : { before }) });
    seen.push(...page.entries.map(({ sequence }) => sequence));
    before = page.next;
  } while (before !== undefined);
  t.same(
    seen,
    Array.from({ length: 25 }, (_, at) => 25 - at),
  );
  t.match((await audit.page({ limit: 1 })).entries, [
    {
      actor: "token:1",
      action: "peer.banned",
      subject: "p24",
      outcome: "allowed",
      clockTrusted: true,
    },
  ]);
});

t.test("the oldest give way, and what is left is still sound", async (t) => {
  const { audit, store } = await open(undefined, 64);
  for (let round = 0; round < 5; round++) {
    fill(audit, 40);
    await audit.flush();
  }
  t.same(await audit.verify(), { sound: true, entries: 64 });
  t.equal((await store.range({ gte: "g/a/", lt: "g/a0", limit: 1_000 })).length, 64);
  fill(audit, 250);
  await audit.flush();
  t.same(await audit.verify(), { sound: true, entries: 64 }, "more than the ring at once");
});

t.test("whatever is changed, cut off or left out shows", async (t) => {
  const { audit, store } = await open();
  fill(audit, 10);
  await audit.close();
  const all = await store.range({ gte: "g/", lt: "g0", limit: 100 });
  const after = async (
    change: (store: Awaited<ReturnType<typeof open>>["store"]) => Promise<void>,
  ) => {
    const copy = await open();
    const put = all.map(([key, value]) => ({ type: "put" as const, key, value }));
    await copy.store.write(put, { durable: true });
    const found = await Audit.open(copy.parts, { entriesMax: 100 });
    await change(copy.store);
    return found.verify();
  };
  const put = (key: string, value: string) => [
    { type: "put" as const, key, value: Buffer.from(value) },
  ];
  const text = (key: string) => Buffer.from(all.find(([at]) => at === key)![1]).toString();
  t.same(await after(async () => undefined), { sound: true, entries: 10 });
  for (const at of [1, 5, 10]) {
    const key = entryKey(at);
    const changed = text(key).replace("p", "q");
    t.match(
      await after((store) => store.write(put(key, changed), { durable: true })),
      { sound: false },
      `${at} changed`,
    );
    t.match(
      await after((store) => store.write([{ type: "del", key }], { durable: true })),
      { sound: false },
      `${at} deleted`,
    );
  }
  t.match(
    await after((store) => store.write(put(entryKey(11), text(entryKey(10))), { durable: true })),
    { sound: false, at: 11 },
  );
  const head = text(HEAD_KEY);
  t.same(
    await after((store) =>
      store.write(
        [
          ...put(HEAD_KEY, head.replace('"last":10', '"last":9')),
          { type: "del", key: entryKey(10) },
        ],
        { durable: true },
      ),
    ),
    { sound: false, reason: "head" },
    "cut off, head and all, but not signed",
  );
  for (const wrong of ["", "null", "{}", '{"first":1}'])
    t.same(await after((store) => store.write(put(HEAD_KEY, wrong), { durable: true })), {
      sound: false,
      reason: "head",
    });
});

t.test(
  "a log that was cut off is noted at the next start, and never gives a number twice",
  async (t) => {
    const { audit, store } = await open();
    fill(audit, 10);
    await audit.close();
    await store.write(
      [9, 10].map((at) => ({ type: "del", key: entryKey(at) })),
      { durable: true },
    );
    const again = await open(store.disk);
    await again.audit.flush();
    const { entries } = await again.audit.page({ limit: 1 });
    t.match(entries, [{ sequence: 11, action: "audit.gap" }]);
    t.match(await again.audit.verify(), { sound: false, reason: "entry", at: 9 });
    t.equal(again.logged.length, 1);
  },
);

t.test(
  "a disk that is full loses no entry while there is room to wait, and then counts",
  async (t) => {
    const { audit, store, clock } = await open(undefined, 1_000);
    store.disk.bytesMax = 0;
    fill(audit, 300);
    await clock.advance(60_000);
    await t.rejects(audit.flush(), { code: "store.full" });
    store.disk.bytesMax = Number.POSITIVE_INFINITY;
    await clock.advance(60_000);
    fill(audit, 1);
    await audit.flush();
    t.same(await audit.verify(), { sound: true, entries: 258 });
    t.match((await audit.page({ limit: 2 })).entries, [
      { subject: "p0" },
      { action: "audit.gap", times: 44 },
    ]);
  },
);

t.test("a flood of refused uses is told in sum", async (t) => {
  const { parts, notes, events } = accessGround("hub");
  const denials = new Denials(parts);
  for (let at = 0; at < 10_000; at++) denials.denied("a", "/x/1.0.0", "access.denied", at / 10);
  t.equal(notes.length, 1);
  t.match(notes[0], {
    actor: "peer:a",
    action: "use.denied",
    outcome: "denied",
    subject: "/x/1.0.0",
    detail: "access.denied",
  });
  denials.sweep(61_000);
  t.match(notes[1], { actor: "peer:a", times: 9_999 });
  for (let at = 0; at < 10_000; at++)
    denials.denied(`fake${at}`, "x".repeat(9_999), "access.expired", 130_000);
  denials.sweep(130_001);
  const told = notes.slice(2);
  t.ok(told.length <= 21, `${told.length} notes for 10,000 peers`);
  t.equal(
    told.reduce((sum, { times }) => sum + times!, 0),
    10_000,
  );
  t.equal(events.length, notes.length);
  t.same(denials.counts(), { "access.denied": 10_000, "access.expired": 10_000 });
});

t.test("tokens that are made and taken back are noted too, without a secret", async (t) => {
  const { parts, notes, events } = accessGround("hub");
  const sink = auditedEvents(parts.events, parts.audit);
  sink.emit("token.created", { id: "ab12", name: "dashboard", scope: "viewer" });
  sink.emit("uplink.up", { name: "cloud" });
  sink.emit("token.revoked", { id: "ab12", name: "dashboard" });
  t.equal(events.length, 3);
  t.match(notes, [
    { action: "token.created", subject: "token:ab12", detail: "dashboard viewer" },
    { action: "token.revoked", subject: "token:ab12", detail: "dashboard" },
  ]);
});
