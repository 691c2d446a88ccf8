// What a host takes of its guests, keeps and tells them.
import t from "tap";
import { encodeBatch } from "../../../../src/mesh/relay/batch-codec.ts";
import type { UpdateFields } from "../../../../src/mesh/relay/relayed-update.ts";
import type { StoreOperation } from "../../../../src/platform/key-value-store.ts";
import { StoreError, type WriteOptions } from "../../../../src/platform/key-value-store.ts";
import { MemoryKeyValueStore } from "../../../../src/simulator/memory-key-value-store.ts";
import type { RelayBatch } from "../../../../src/wire/agent_mesh/v1/relay_pb.ts";
import { GUEST, HOST, HostUnderTest } from "../../../support/relay-host.ts";

const OBSERVED_MS = 1_795_305_600_000;

function update(sequence: number, over: Partial<UpdateFields> = {}): UpdateFields {
  return {
    agentId: "guest",
    stream: "sensors/a",
    sequence,
    payload: Buffer.from(String(sequence)),
    contentType: "text/plain",
    observedAtMs: OBSERVED_MS + sequence,
    observedAtTrusted: true,
    key: undefined,
    path: [GUEST],
    ...over,
  };
}

const range = (first: number, last: number, over: Partial<UpdateFields> = {}) =>
  Array.from({ length: last - first + 1 }, (_, at) => update(first + at, over));

async function handOver(
  under: HostUnderTest,
  session: number,
  updates: readonly UpdateFields[],
  change: (batch: RelayBatch) => void = () => undefined,
  from = GUEST,
) {
  const value = encodeBatch(session, updates);
  change(value);
  const { case: kind, value: answer } = await under.ask({ case: "batch", value }, from);
  return { kind, ...(answer as object) } as Record<string, unknown>;
}

const sequences = ({ delivered }: HostUnderTest) => delivered.map(({ sequence }) => sequence);

async function report(under: HostUnderTest, session: number, received = 0) {
  const answer = await under.ask({ case: "poll", value: { session, received } });
  if (answer.case !== "report") throw new Error(`no report: ${answer.case}`);
  return answer.value;
}

t.test("stored, delivered, told; what comes again is known", async (t) => {
  const under = await new HostUnderTest().start();
  const session = await under.hello();
  t.match(await handOver(under, session, range(1, 5)), { kind: "receipt", taken: 5, unfit: [] });
  t.equal(under.host.status()[0]?.updates, 5);
  t.match(await handOver(under, session, range(3, 7)), { taken: 5 });
  t.equal(await under.deliver(3), 3);
  t.match(await report(under, session), { marks: [{ stream: "sensors/a", settled: 3n }] });
  await under.deliver();
  t.match(await report(under, session, 1), { number: 2, marks: [{ settled: 7n }] });
  t.same(sequences(under), [1, 2, 3, 4, 5, 6, 7]);
  t.match(
    await handOver(under, session, range(6, 8)),
    { taken: 3, marks: [{ settled: 7n }] },
    "what had been delivered is told at once",
  );
  await under.deliver();
  t.same(sequences(under).slice(7), [8]);
  t.match(under.host.status()[0], { taken: 8, repeated: 5, delivered: 8, updates: 0 });
});

t.test("a restart finds what is on disk, and forgets nothing that was stored", async (t) => {
  for (const powerCut of [false, true]) {
    const store = new MemoryKeyValueStore();
    const before = await new HostUnderTest({}, store).start();
    const session = await before.hello();
    await handOver(before, session, range(1, 300));
    await handOver(before, session, range(301, 600));
    await before.deliver(400);
    await before.clock.advance(5_000);
    if (powerCut) store.disk.crash();
    const after = await new HostUnderTest({}, new MemoryKeyValueStore(store.disk)).start();
    // That something left needs no sync: what was delivered is delivered again then.
    const first = powerCut ? 1 : 301;
    const updates = 601 - first;
    t.match(after.host.status(), [{ agentId: "guest", updates, connected: false }]);
    t.match(await handOver(after, session, range(601, 601)), { code: "relay.session" });
    const again = await after.hello();
    t.match(await handOver(after, again, range(250, 610)), { taken: 361 });
    await after.deliver();
    t.same(
      sequences(after),
      Array.from({ length: 611 - first }, (_, at) => first + at),
    );
  }
});

t.test(
  "delivery is told as far as all before is settled, refusals with their reasons",
  async (t) => {
    const under = await new HostUnderTest().start();
    const session = await under.hello();
    await handOver(under, session, range(1, 4));
    const leased = await under.host.leases.lease(GUEST, 10);
    const [first, second, third, fourth] = leased;
    if (!first || !second || !third || !fourth) throw new Error("four were handed over");
    under.host.leases.acknowledge(third);
    under.host.leases.refuse(second, "not authorized");
    t.equal(under.host.status()[0]?.delivered, 0, "the first one is on its way");
    under.host.leases.acknowledge(first);
    const dead = [{ sequence: 2n, reason: "not authorized" }];
    t.match(await report(under, session), { marks: [{ settled: 3n, dead }] });
    t.match(await handOver(under, session, range(2, 2)), {
      taken: 1,
      unfit: [{ index: 0, reason: "not authorized" }],
    });
    under.host.leases.acknowledge(fourth);
    t.match(await report(under, session, 1), { marks: [{ settled: 4n, dead: [] }] }, "heard once");
  },
);

t.test("a refusal is told after a restart too, until the guest has confirmed it", async (t) => {
  const store = new MemoryKeyValueStore();
  const before = await new HostUnderTest({}, store).start();
  const session = await before.hello();
  await handOver(before, session, range(1, 2));
  await handOver(before, session, range(3, 4));
  const [first, second] = await before.host.leases.lease(GUEST, 2);
  const [third] = await before.host.leases.lease(GUEST, 1);
  if (!first || !second || !third) throw new Error("three were handed over");
  before.host.leases.acknowledge(first);
  before.host.leases.refuse(second, "not authorized");
  before.host.leases.acknowledge(third);
  await before.clock.advance(5_000);
  // The second chunk is on disk still, and half of it has settled.
  const after = await new HostUnderTest({}, new MemoryKeyValueStore(store.disk)).start();
  const again = await after.hello();
  const { value } = await after.ask({
    case: "marks",
    value: { session: again, streams: ["sensors/a"] },
  });
  const dead = [{ sequence: 2n, reason: "not authorized" }];
  t.match(value, { marks: [{ settled: 2n, dead }] });
  await after.deliver();
  t.same(sequences(after), [3, 4]);
  t.match(await report(after, again), { marks: [{ settled: 4n, dead }] });
});

t.test("however much is to be told, it fits, and all of it is told", async (t) => {
  const under = await new HostUnderTest().start();
  const session = await under.hello();
  await handOver(under, session, range(1, 1_000));
  for (const leased of await under.host.leases.lease(GUEST, 1_000))
    under.host.leases.refuse(leased, `not authorized ${"x".repeat(300)}`);
  const told: number[] = [];
  let settled = 0n;
  for (let received = 0; settled < 1_000n; received++) {
    const { number, marks } = await report(under, session, received);
    t.equal(number, received + 1);
    for (const mark of marks) {
      settled = mark.settled;
      told.push(...mark.dead.map(({ sequence }) => Number(sequence)));
    }
    t.equal(told.length, Number(settled), "nothing is settled that is not explained");
    if (received > 10) throw new Error("it never ends");
  }
  t.same(
    told,
    Array.from({ length: 1_000 }, (_, at) => at + 1),
  );

  const names = Array.from({ length: 900 }, (_, at) => `${at} ${"long ".repeat(190)}`);
  await handOver(
    under,
    session,
    names.map((stream) => update(1, { stream })),
  );
  await under.deliver();
  const heard = new Set<string>();
  for (let received = 0; heard.size < 900; received++) {
    const { marks } = await report(under, session, received);
    t.ok(marks.length > 0 && marks.length < 900);
    for (const { stream } of marks) heard.add(stream);
  }
  const { value } = await under.ask({ case: "marks", value: { session, streams: names } });
  const { length } = (value as { marks: object[] }).marks;
  t.ok(length > 0 && length < 900, `${length} of 900 marks in one answer`);
});

t.test("what a guest may not hand over", async (t) => {
  const under = await new HostUnderTest().start();
  const session = await under.hello();
  const unfit = async (over: Partial<UpdateFields>) => {
    const answer = await handOver(under, session, [update(1, over)]);
    return (answer["unfit"] as { reason: string }[])[0]?.reason;
  };
  t.match(await unfit({ agentId: "somebody-else" }), /its agent is known as guest/);
  t.match(await unfit({ agentId: "host" }), /an agent on the way/);
  t.match(await unfit({ payload: Buffer.alloc(800_000) }), /800000 bytes is over/);
  under.known.set("12D3KooWorigin", "origin");
  const path = ["12D3KooWorigin", GUEST];
  t.match(await unfit({ agentId: "guest", path }), /known as origin/);
  t.equal(await unfit({ agentId: "origin", path }), undefined);
  t.match(await handOver(under, session, [update(1, { path: ["a", "b", "c", GUEST] })]), {
    taken: 0,
    refusal: { code: "relay.hops" },
  });
  const malformed: [string, (batch: RelayBatch) => void, Partial<UpdateFields>?][] = [
    ["a path that does not end with the guest", () => undefined, { path: ["other"] }],
    ["no path", () => undefined, { path: [] }],
    ["a path that is too long", () => undefined, { path: [...Array(8).fill("x"), GUEST] }],
    ["a wildcard", () => undefined, { stream: "sensors/#" }],
    ["a topic of the agent's own", () => undefined, { stream: "$command/x" }],
    ["a control character", () => undefined, { stream: "a\u0000b" }],
    ["no stream", () => undefined, { stream: "" }],
    ["an agent id with a slash", () => undefined, { agentId: "a/b" }],
    ["a long key", () => undefined, { key: "k".repeat(1_025) }],
    ["sequence 0", (batch) => batch.updates.forEach((each) => void (each.sequence = 0n))],
    [
      "a huge sequence",
      (batch) => batch.updates.forEach((each) => void (each.sequence = 2n ** 60n)),
    ],
    [
      "an impossible time",
      (batch) => batch.updates.forEach((each) => void (each.observedAtMs = 2n ** 63n)),
    ],
    ["an unknown stream", (batch) => batch.updates.forEach((each) => void (each.stream = 9))],
  ];
  for (const [what, change, over = {}] of malformed)
    await t.rejects(
      handOver(under, session, [update(1, over)], change),
      { code: "relay.malformed" },
      what,
    );
  t.throws(() => under.host.requests.answer(GUEST, Buffer.from("nonsense")), {
    code: "relay.malformed",
  });
  t.throws(() => under.host.requests.answer(GUEST, new Uint8Array(0)), { code: "relay.malformed" });
  t.equal(under.host.status()[0]?.taken, 1, "nothing of it was stored");
});

t.test("whom a host does not know, or is led by itself, is told to come later", async (t) => {
  const under = await new HostUnderTest({ guestsMax: 2 }).start();
  const hello = async (agentId: string, from: string) => {
    const { value } = await under.ask({ case: "hello", value: { agentId } }, from);
    return (value as { code?: string }).code;
  };
  t.equal(await hello("other", "stranger"), "relay.agent-id");
  t.equal(await hello("other", GUEST), "relay.agent-id");
  under.known.set("twin", "host");
  t.equal(await hello("host", "twin"), "relay.agent-id");
  under.host.setOffer({ route: [GUEST], passedMax: 2 });
  t.equal(await hello("guest", GUEST), "relay.loop");
  under.host.setOffer({ code: "relay.power", detail: "tired", retryAfterMs: 9 });
  t.equal(await hello("guest", GUEST), "relay.power");
  under.host.setOffer({ route: [], passedMax: 3 });
  for (const peer of ["p1", "p2", "p3"]) under.known.set(peer, peer);
  t.equal(await hello("p1", "p1"), undefined);
  t.equal(await hello("p2", "p2"), undefined);
  t.equal(await hello("p3", "p3"), "relay.guests");
  await under.clock.advance(700_000);
  t.equal(await hello("p3", "p3"), undefined, "one that is gone for long gives way");
  t.match(
    under.host.status().map(({ agentId }) => agentId),
    ["p2", "p3"],
  );
  const refusals = under.events.filter(({ type }) => type === "relay.refused");
  t.ok(refusals.length >= 5 && refusals.length <= 7, `${refusals.length} events`);
});

t.test("a way that changes, or ends, is told to those who wait", async (t) => {
  const under = await new HostUnderTest().start();
  const session = await under.hello();
  const waiting = report(under, session);
  await under.clock.advance(100);
  under.host.setOffer({ route: ["next"], passedMax: 2 });
  t.match(await waiting, { route: [HOST, "next"], passedMax: 2 });
  const again = report(under, session);
  await under.clock.advance(100);
  under.host.setOffer({ code: "relay.power", detail: "tired", retryAfterMs: 9_000 });
  t.match(await again, { withdrawn: { code: "relay.power", retryAfterMs: 9_000 } });
  t.match(await handOver(under, session, range(1, 1)), {
    taken: 0,
    refusal: { code: "relay.power" },
  });
  t.match(await report(under, session), { withdrawn: { code: "relay.power" } });
});

t.test("without news a question is answered after a while", async (t) => {
  const under = await new HostUnderTest().start();
  const session = await under.hello();
  const startMs = under.clock.monotonicMs();
  t.match(await report(under, session), { marks: [], withdrawn: undefined });
  const waitedMs = under.clock.monotonicMs() - startMs;
  t.ok(waitedMs >= 15_000 && waitedMs < 16_000, `${waitedMs} ms`);
});

t.test("a full disk: nothing is promised that is not kept, and it heals", async (t) => {
  const store = new MemoryKeyValueStore();
  const under = await new HostUnderTest({}, store).start();
  const session = await under.hello();
  await handOver(under, session, range(1, 10));
  store.disk.bytesMax = store.disk.bytes;
  t.match(await handOver(under, session, range(11, 20)), {
    taken: 0,
    refusal: { code: "relay.store", retryAfterMs: 15_000 },
  });
  t.equal(under.host.storeWorks, false, "so the agent offers nothing for a while");
  store.disk.bytesMax = Number.POSITIVE_INFINITY;
  await under.clock.advance(15_000);
  t.equal(under.host.storeWorks, true);
  t.match(await handOver(under, session, range(11, 20)), { taken: 10 });
  await under.deliver();
  t.same(
    sequences(under),
    Array.from({ length: 20 }, (_, at) => at + 1),
  );
  t.equal(under.host.bytes, 0);
});

/** A store that loses something when told to, as after damage. */
class MendedStore extends MemoryKeyValueStore {
  override generation = 0;

  override write(operations: readonly StoreOperation[], options: WriteOptions): Promise<void> {
    const { ifGeneration = this.generation } = options;
    if (ifGeneration === this.generation) return super.write(operations, options);
    return Promise.reject(new StoreError("store.corrupt", "the store was mended"));
  }
}

t.test("a store that has lost something: guests hand everything over again", async (t) => {
  const store = new MendedStore();
  const under = await new HostUnderTest({}, store).start();
  const session = await under.hello();
  await handOver(under, session, range(1, 10));
  store.generation = 1;
  t.match(await handOver(under, session, range(11, 20)), {
    taken: 0,
    refusal: { code: "relay.store" },
  });
  t.equal(under.host.forgotten, 10);
  t.match(
    under.events.find(({ type }) => type === "relay.forgotten"),
    { data: { updates: 10 } },
  );
  await under.clock.advance(20_000);
  const again = await under.hello();
  t.match(await under.ask({ case: "marks", value: { session: again, streams: ["sensors/a"] } }), {
    value: { marks: [] },
  });
  t.match(await handOver(under, again, range(1, 20)), { taken: 20 });
  await under.deliver();
  t.same(
    sequences(under),
    Array.from({ length: 20 }, (_, at) => at + 1),
  );

  await handOver(under, again, range(21, 30));
  const reopened = new MendedStore(store.disk);
  reopened.generation = 2;
  const after = await new HostUnderTest({}, reopened).start();
  t.same(after.host.status(), [], "nothing of before counts after a repair");
});

async function firstChunk(store: MemoryKeyValueStore): Promise<string> {
  const [entry] = await store.range({ gte: "r/c/", lt: "r/c0", limit: 1 });
  if (entry === undefined) throw new Error("there is no chunk");
  return entry[0];
}

t.test("an unreadable chunk, on the way or at the start, costs nothing", async (t) => {
  const store = new MemoryKeyValueStore();
  const under = await new HostUnderTest({}, store).start();
  const session = await under.hello();
  await handOver(under, session, range(1, 10));
  const key = await firstChunk(store);
  const spoil = () =>
    store.write([{ type: "put", key, value: Buffer.from("spoilt") }], { durable: true });
  await spoil();
  const after = await new HostUnderTest({}, new MemoryKeyValueStore(store.disk)).start();
  t.same(after.host.status(), []);
  t.same(await store.range({ gte: "r/c/", lt: "r/c0", limit: 1 }), [], "and is not kept");

  const again = await after.hello();
  await handOver(after, again, range(1, 10));
  const restarted = await new HostUnderTest({}, new MemoryKeyValueStore(store.disk)).start();
  await store.write([{ type: "del", key: await firstChunk(store) }], { durable: true });
  t.same(await restarted.host.leases.lease(GUEST, 10), []);
  t.same(restarted.host.status(), []);
  t.match(restarted.events, [{ type: "relay.forgotten", data: { updates: 10 } }]);
});

t.test("numbers that are given a second time are not taken for the same updates", async (t) => {
  const under = await new HostUnderTest().start();
  const session = await under.hello();
  await handOver(under, session, range(1, 10));
  // Its data directory was replaced: it counts from 1 again, and later.
  const later = { observedAtMs: OBSERVED_MS + 1e6 };
  t.match(await handOver(under, session, range(1, 3, later)), {
    taken: 0,
    refusal: { code: "relay.sequence-reused" },
  });
  await under.deliver();
  await report(under, session);
  t.match(await handOver(under, session, range(1, 3, later)), { taken: 3, marks: [] });
  t.match(await under.ask({ case: "marks", value: { session, streams: ["sensors/a"] } }), {
    value: { marks: [{ settled: 0n }] },
  });
  await under.deliver();
  t.equal(under.delivered.length, 13, "the receiver tells them apart");
  t.match(await report(under, session), { marks: [{ settled: 3n }] });
});

t.test("without a clock a settled number is sent again rather than lost", async (t) => {
  const under = await new HostUnderTest().start();
  const session = await under.hello();
  const untrusted = { observedAtTrusted: false, observedAtMs: 5 };
  await handOver(under, session, range(1, 5, untrusted));
  t.match(await handOver(under, session, range(1, 5, untrusted)), { taken: 5 });
  t.equal(under.host.status()[0]?.updates, 5, "while it waits it is known");
  await under.deliver();
  await handOver(under, session, range(4, 6, untrusted));
  await under.deliver();
  t.same(sequences(under), [1, 2, 3, 4, 5, 4, 5, 6]);
});

t.test("streams and guests are bounded, and those of which nothing waits give way", async (t) => {
  const under = await new HostUnderTest({ streamsMax: 16, forgetAfterDays: 1 }).start();
  const session = await under.hello();
  const streams = (first: number, last: number) =>
    Array.from({ length: last - first + 1 }, (_, at) => update(1, { stream: `s/${first + at}` }));
  t.match(await handOver(under, session, streams(1, 20)), {
    taken: 16,
    refusal: { code: "relay.streams" },
  });
  await under.deliver();
  await report(under, session);
  t.match(await handOver(under, session, streams(17, 20)), { taken: 4, refusal: undefined });
  t.equal(under.host.status()[0]?.streams, 16);
  await under.deliver();
  under.host.linkDown(GUEST);
  await under.clock.advance(2 * 86_400_000);
  t.same(under.host.status(), [], "and it is forgotten in the end");
});

t.test("a session ends with its link, and with the next one", async (t) => {
  const under = await new HostUnderTest().start();
  const first = await under.hello();
  const second = await under.hello();
  t.match(await handOver(under, first, range(1, 1)), { code: "relay.session" });
  t.match(await handOver(under, second, range(1, 1)), { taken: 1 });
  const waiting = under.ask({ case: "poll", value: { session: second, received: 0 } });
  await under.clock.advance(10);
  under.host.linkDown(GUEST);
  t.match(await waiting, { case: "report" });
  t.match(await handOver(under, second, range(2, 2)), { code: "relay.session" });
  const types = under.events.map(({ type }) => type);
  t.same(types, ["relay.guest-joined", "relay.guest-left"]);
  await under.hello();
  await under.host.stop();
  t.match(await handOver(under, second, range(2, 2)), { code: "relay.session" });
});
