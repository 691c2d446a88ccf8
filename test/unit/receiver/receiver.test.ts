import t, { type Test } from "tap";
import { StoreError } from "../../../src/platform/key-value-store.ts";
import type { ReceivedUpdate } from "../../../src/platform/update-sink.ts";
import type { ReceiverLimits } from "../../../src/receiver/options.ts";
import { createReceiver, type Receiver } from "../../../src/receiver/receiver.ts";
import { MemoryKeyValueStore, VirtualDisk } from "../../../src/simulator/memory-key-value-store.ts";
import { VirtualClock } from "../../../src/simulator/virtual-clock.ts";
import { keptLog } from "../../support/kept-log.ts";
import { eventually } from "../../support/mosquitto.ts";

const START_MS = Date.UTC(2026, 10, 22, 12);

function line(sequence: number, more: Record<string, unknown> = {}, stream = "s"): string {
  return JSON.stringify({
    id: `pi-1/${stream}/${sequence}`,
    stream,
    sequence,
    observedAt: new Date(START_MS - 100_000 + sequence).toISOString(),
    contentType: "application/json",
    payload: { value: sequence },
    ...more,
  });
}

const lines = (first: number, last: number): string[] =>
  Array.from({ length: last - first + 1 }, (_, at) => line(first + at));

interface Bench {
  receiver: Receiver;
  readonly disk: VirtualDisk;
  readonly clock: VirtualClock;
  readonly seen: ReceivedUpdate[];
  /** Power loss, then a start. */
  restart(): Promise<void>;
}

async function bench(t: Test, limits: Partial<ReceiverLimits> = {}): Promise<Bench> {
  const disk = new VirtualDisk();
  const clock = new VirtualClock(START_MS);
  const seen: ReceivedUpdate[] = [];
  const open = (): Promise<Receiver> =>
    createReceiver({
      store: new MemoryKeyValueStore(disk),
      clock,
      logger: keptLog(),
      limits,
      onUpdate: (update) => void seen.push(update),
    });
  const made: Bench = {
    receiver: await open(),
    disk,
    clock,
    seen,
    async restart() {
      await made.receiver.close();
      disk.crash();
      made.receiver = await open();
    },
  };
  t.teardown(() => made.receiver.close());
  return made;
}

async function kept(receiver: Receiver, stream = "s"): Promise<number[]> {
  const page = await receiver.read({ agent: "pi-1", stream, from: 1, limit: 10_000 });
  return page.updates.map(({ sequence }) => sequence);
}

const marksOf = async (receiver: Receiver, first?: number) => {
  const { marks } = await receiver.marks({ agent: "pi-1", streams: new Map([["s", first]]) });
  const { lastObservedAtMs: _, ...told } = marks.get("s") ?? {};
  return told;
};

t.test("every update once, in its place, whatever comes twice and late", async (t) => {
  const made = await bench(t);
  t.match(await made.receiver.take([...lines(4, 6), line(5), line(2)]), {
    accepted: 4,
    duplicates: 1,
    refused: [],
  });
  t.match(await made.receiver.take(lines(1, 3)), { accepted: 2, duplicates: 1 });
  t.same(await kept(made.receiver), [1, 2, 3, 4, 5, 6]);
  await made.restart();
  t.match(await made.receiver.take(lines(1, 7)), { accepted: 1, duplicates: 6 });
  t.same(await marksOf(made.receiver), { through: 7, ranges: [] });
  await eventually(() => made.seen.length >= 7);
  t.same(
    made.seen.map(({ sequence }) => sequence),
    [4, 5, 6, 2, 1, 3, 7],
    "each passed on once, in the order of arrival",
  );
  t.same(JSON.parse(made.seen[0]?.line ?? ""), {
    id: "pi-1/s/4",
    agent: "pi-1",
    stream: "s",
    sequence: 4,
    observedAt: "2026-11-22T11:58:20.004Z",
    observedAtTrusted: true,
    receivedAt: "2026-11-22T12:00:00.000Z",
    contentType: "application/json",
    payload: { value: 4 },
  });
  const page = await made.receiver.read({ agent: "pi-1", stream: "s", from: 3, limit: 2 });
  t.same(
    page.updates.map(({ sequence }) => sequence),
    [3, 4],
  );
  t.equal(page.next, 5);
  t.match(made.receiver.agents(), [{ agent: "pi-1", streams: 1, received: 7 }]);
});

t.test("a line without an id spoils its batch, one with an id only itself", async (t) => {
  const { receiver } = await bench(t);
  await t.rejects(receiver.take([line(1), "{"]), { code: "update.malformed" });
  t.same(await kept(receiver), [], "nothing of it was taken");
  t.match(await receiver.take([line(1), line(2, { observedAt: "?" })]), {
    accepted: 1,
    refused: [{ id: "pi-1/s/2", code: "update.invalid", permanent: true }],
  });
  t.match(await receiver.take([]), { accepted: 0, duplicates: 0, refused: [] });
});

t.test(
  "what the agent no longer holds is settled and listed; when it comes after all, it is taken",
  async (t) => {
    const made = await bench(t);
    await made.receiver.take([...lines(1, 2), ...lines(5, 6), line(9)]);
    t.same(await marksOf(made.receiver), {
      through: 2,
      ranges: [
        [5, 6],
        [9, 9],
      ],
    });
    t.same(await marksOf(made.receiver, 8), { through: 7, ranges: [[9, 9]] });
    t.match(made.receiver.streams("pi-1"), [
      {
        missing: [
          [3, 4],
          [7, 7],
        ],
        missingUpdates: 3,
      },
    ]);
    t.same(await marksOf(made.receiver, 3), { through: 7, ranges: [[9, 9]] }, "it never goes back");
    await made.restart();
    t.match(await made.receiver.take(lines(3, 5)), { accepted: 2, duplicates: 1 });
    t.match(made.receiver.streams("pi-1"), [{ missing: [[7, 7]], missingUpdates: 1 }]);
    t.equal(made.receiver.status().missing, 1);
    t.equal(
      (await made.receiver.marks({ agent: "x", streams: new Map([["s", 1]]) })).marks.size,
      0,
    );
  },
);

t.test(
  "more gaps than are remembered: nothing is claimed, nothing lost, nothing taken twice",
  async (t) => {
    const made = await bench(t, { rangesMax: 3, keepBytesMax: 1_500 });
    const odd = [1, 3, 5, 7, 9, 11, 13].map((n) => line(n));
    t.match(await made.receiver.take(odd), { accepted: 7 });
    t.match(await made.receiver.take(odd), { accepted: 0, duplicates: 7 });
    t.same(await marksOf(made.receiver), {
      through: 1,
      ranges: [
        [3, 3],
        [5, 5],
        [7, 7],
      ],
    });
    await made.restart();
    t.match(await made.receiver.take(odd), { accepted: 0, duplicates: 7 });
    await made.receiver.take(Array.from({ length: 12 }, (_, at) => line(at + 1, {}, "other")));
    await eventually(async () => (await kept(made.receiver)).length === 0, "their removal");
    t.match(
      await made.receiver.take(odd),
      { accepted: 0, duplicates: 7 },
      "and they are known still",
    );
    t.same(await marksOf(made.receiver, 10), {
      through: 9,
      ranges: [
        [11, 11],
        [13, 13],
      ],
    });
    t.match(made.receiver.streams("pi-1")?.[0], { missingUpdates: 4 });
  },
);

t.test("states travel as differences", async (t) => {
  const { receiver } = await bench(t);
  const lamp = { on: false, level: 3, id: 1 };
  await receiver.take([line(1, { key: "lamp", payload: lamp })]);
  const patch = (base: number, merge: object) => ({
    key: "lamp",
    payload: undefined,
    patch: { base, merge },
  });
  t.match(
    await receiver.take([
      line(2, patch(1, { on: true })),
      line(3, patch(2, { level: null })),
      line(4, patch(9, {})).replace('"base":9', '"base":3'),
    ]),
    { accepted: 3 },
  );
  const { updates } = await receiver.read({ agent: "pi-1", stream: "s", from: 3, limit: 1 });
  t.match(JSON.parse(updates[0]?.line ?? ""), { key: "lamp", payload: { on: true, id: 1 } });
  t.match(await receiver.take([line(9, patch(8, { on: true }))]), {
    refused: [{ id: "pi-1/s/9", code: "sync.base-missing", permanent: false }],
  });
  t.match(await receiver.take([line(9, { ...patch(4, {}), key: "other" })]), {
    refused: [{ code: "update.invalid", permanent: true }],
  });
  t.match(await receiver.take([line(9, { key: "lamp", payload: lamp })]), { accepted: 1 });
});

t.test("numbers that are given anew are not taken for repetitions", async (t) => {
  const { receiver } = await bench(t);
  await receiver.take(lines(1, 3));
  t.match(await receiver.take([line(2, { observedAt: "2026-11-22T13:00:00Z" })]), {
    refused: [
      { id: "pi-1/s/2", code: "sync.sequence-reused", reason: /agent\.id/, permanent: true },
    ],
  });
  t.equal(await receiver.forget("pi-1"), true);
  t.equal(await receiver.forget("pi-1"), false);
  t.match(await receiver.take(lines(1, 2)), { accepted: 2, duplicates: 0 });
  t.same(await kept(receiver), [1, 2]);
});

t.test("a failed write is refused for now, and counted once when it is sent again", async (t) => {
  const made = await bench(t);
  await made.receiver.take(lines(1, 2));
  made.disk.bytesMax = made.disk.bytes + 10;
  t.match(await made.receiver.take(lines(3, 4)), {
    accepted: 0,
    refused: [{ code: "store.full", permanent: false }, { code: "store.full" }],
  });
  t.match(made.receiver.status().storeFault, /no space left/);
  made.disk.bytesMax = Number.POSITIVE_INFINITY;
  t.match(await made.receiver.take(lines(1, 4)), { accepted: 2, duplicates: 2 });
  t.equal(made.receiver.status().storeFault, undefined);
  await eventually(async () => {
    await made.clock.advance(1_000);
    return made.seen.length === 4;
  });
});

t.test("a write that failed in words only is found again", async (t) => {
  const disk = new VirtualDisk();
  const store = new MemoryKeyValueStore(disk);
  let lie = false;
  const write = store.write.bind(store);
  store.write = async (operations, options) => {
    await write(operations, options);
    if (lie && options.durable) throw new StoreError("store.failed", "the disk says no");
  };
  const seen: number[] = [];
  const receiver = await createReceiver({
    store,
    clock: new VirtualClock(START_MS),
    logger: keptLog(),
    onUpdate: ({ sequence }) => void seen.push(sequence),
  });
  t.teardown(() => receiver.close());
  lie = true;
  t.match(await receiver.take(lines(1, 2)), { refused: [{ code: "store.failed" }, {}] });
  lie = false;
  t.match(await receiver.take(lines(1, 3)), { accepted: 1, duplicates: 2 });
  await eventually(() => seen.length === 3);
  t.same(seen, [1, 2, 3]);
});

t.test("limits are kept and named", async (t) => {
  const limits = { agentsMax: 1, streamsPerAgentMax: 2, updateBytesMax: 1_024, keepMs: 120_000 };
  const made = await bench(t, limits);
  const { receiver } = made;
  const big = line(1, { payload: "x".repeat(1_000) }, "b");
  t.match(await receiver.take([line(1), big, line(1, {}, "c"), line(1, {}, "d")]), {
    accepted: 2,
    refused: [
      { code: "update.too-large", reason: /--update-bytes-max/, permanent: true },
      { code: "receiver.too-many-streams", reason: /--streams-per-agent-max/, permanent: true },
    ],
  });
  t.match(await receiver.take([line(1).replace("pi-1/", "pi-2/")]), {
    refused: [{ reason: /--agents-max/ }],
  });
  await made.clock.advance(180_000);
  await eventually(() => receiver.status().updates === 0, "what is too old to go");
  t.same(await kept(receiver), []);
  t.match(await receiver.take([line(1), line(2)]), { accepted: 1, duplicates: 1 });
  const tiny = await bench(t, { waitingBytesMax: 1_000 });
  t.match(await tiny.receiver.take(lines(1, 10)), {
    refused: [{ code: "receiver.busy", permanent: false }],
  });
  await tiny.receiver.close();
  t.match(await tiny.receiver.take(lines(1, 1)), { refused: [{ code: "receiver.stopping" }] });
});

t.test("a sink that fails gets everything, in order, once it works again", async (t) => {
  const clock = new VirtualClock(START_MS);
  const seen: number[] = [];
  let works = false;
  const receiver = await createReceiver({
    store: new MemoryKeyValueStore(),
    clock,
    logger: keptLog(),
    onUpdate({ sequence }) {
      if (!works && sequence === 3) throw new Error("not now");
      seen.push(sequence);
    },
  });
  t.teardown(() => receiver.close());
  for (let n = 1; n <= 5; n++) await receiver.take([line(n)]);
  await eventually(() => receiver.status().sink?.fault === "not now");
  works = true;
  await eventually(async () => {
    await clock.advance(1_000);
    return seen.length === 5;
  });
  t.same(seen, [1, 2, 3, 4, 5]);
});

t.test("a repaired store that lost marks and counters gives no number twice", async (t) => {
  const disk = new VirtualDisk();
  const open = (generation: number): Promise<Receiver> => {
    const store = new MemoryKeyValueStore(disk);
    Object.defineProperty(store, "generation", { value: generation });
    return createReceiver({ store, clock: new VirtualClock(START_MS), logger: keptLog() });
  };
  const first = await open(0);
  await first.take([...lines(1, 3), line(5), line(1, {}, "other")]);
  await first.close();
  const lost = disk.range({ gte: "m/", lt: "m0", limit: 1 }).map(([key]) => key);
  disk.apply(
    ["c", ...lost].map((key) => ({ type: "del" as const, key })),
    true,
  );
  const second = await open(1);
  t.teardown(() => second.close());
  t.same(await marksOf(second), { through: 3, ranges: [[5, 5]] }, "what is there is known");
  t.match(await second.take([...lines(1, 6), line(1, {}, "new")]), { accepted: 3, duplicates: 4 });
  t.same(await kept(second), [1, 2, 3, 4, 5, 6]);
  t.same(await kept(second, "other"), [1]);
  t.same(await kept(second, "new"), [1]);
});
