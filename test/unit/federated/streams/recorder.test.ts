import t from "tap";
import type { StreamBinding } from "../../../../src/federated/streams/binding.ts";
import { historyBytesPerDayMax } from "../../../../src/federated/streams/history-store.ts";
import {
  type StreamFault,
  StreamRecorder,
} from "../../../../src/federated/streams/stream-recorder.ts";
import type { KeyValueStore } from "../../../../src/platform/key-value-store.ts";
import { SeededRandom } from "../../../../src/platform/seeded-random.ts";
import { topicMatcher } from "../../../../src/readings/topic-filter.ts";
import { MemoryKeyValueStore } from "../../../../src/simulator/memory-key-value-store.ts";
import { bindingOf, HOUR_MS, reading } from "../../../support/learning/stream-fixtures.ts";

const PREFIX = "learning/history/t/";
const FIRST_MS = reading(0, 0).observedAtMs;

function recorderOf(
  binding: StreamBinding,
  store?: KeyValueStore,
  onFault?: (fault: StreamFault) => void,
) {
  return new StreamRecorder({
    binding,
    topicMatcher,
    ...(store !== undefined && { place: { store, prefix: PREFIX } }),
    ...(onFault !== undefined && { onFault }),
  });
}
/** What is recorded, in seconds after the first reading. */
const points = (recorder: StreamRecorder) => {
  const { atMs, values, channels } = recorder.series();
  return [...atMs].map((ms, at) => [
    (ms - FIRST_MS) / 1_000,
    ...values.slice(at * channels, (at + 1) * channels),
  ]);
};

t.test("readings are put on the grid: mean, last or max of each step", async (t) => {
  const channels = (["mean", "last", "max"] as const).map((combine) => ({
    name: combine,
    topic: "plant/#",
    combine,
  }));
  const recorder = recorderOf(bindingOf({ channels }));
  for (const [seconds, value] of [
    [0, 1],
    [0.2, 6],
    [0.9, 2],
    [1.1, 5],
    [4, 0],
  ] as const)
    recorder.hear(reading(seconds, value));
  t.same(points(recorder), [
    [0, 3, 2, 6],
    [1, 5, 5, 5],
  ]);
  recorder.tick(reading(4.5, ""));
  t.equal(points(recorder).length, 2, "the step is not over");
  recorder.tick(reading(5, ""));
  t.same(points(recorder).at(-1), [4, 0, 0, 0], "time completes a step that no reading does");
});

t.test(
  "numbers are found in text and in JSON, and what is none is counted and told once",
  async (t) => {
    const channels = [
      { name: "plain", topic: "plain/+" },
      { name: "air", topic: "json", field: "/air/0/a~1b" },
      { name: "ok", topic: "json", field: "state.ok" },
    ];
    const told: StreamFault[] = [];
    const recorder = recorderOf(bindingOf({ channels }), undefined, (fault) => told.push(fault));
    const hear = (seconds: number, stream: string, payload: string) =>
      recorder.hear(reading(seconds, payload, { stream }));
    hear(0, "plain/1", " 21.5\n");
    hear(0, "json", '{"air":[{"a/b":"-3e1"}],"state":{"ok":true}}');
    hear(1, "plain/2", "warm");
    hear(1, "plain/2", "0x10");
    hear(1, "json", '{"air":[{}],"state":{"ok":null},"__proto__":1}');
    hear(1, "json", "{");
    hear(1, "json", '{"air":[{"a/b":1e300}],"state":{"ok":false}}');
    hear(2, "else", "5");
    hear(2, "plain/1", "");
    hear(2, "plain/1", "true");
    hear(3, "plain/1", "1");
    t.same(points(recorder), [
      [0, 21.5, -30, 1],
      [1, Number.NaN, Number.NaN, 0],
      [2, 1, Number.NaN, Number.NaN],
    ]);
    const { unparsable, heard, recorded, streams } = recorder.counts();
    t.same(
      { unparsable, heard, recorded, streams },
      { unparsable: 8, heard: 10, recorded: 5, streams: 3 },
    );
    t.same(
      told.map(({ stream, channel }) => `${stream} ${channel}`),
      ["plain/2 plain", "json air", "plain/1 plain"],
    );
  },
);

t.test("a value that the sensor can not show is no reading", async (t) => {
  const channels = [{ name: "t", topic: "plant/t", range: { min: -40, max: 125 } }];
  const recorder = recorderOf(bindingOf({ channels }));
  for (const [seconds, value] of [
    [0, 20],
    [1, 85_000],
    [2, -40],
    [3, 0],
  ] as const)
    recorder.hear(reading(seconds, value));
  t.same(points(recorder), [
    [0, 20],
    [2, -40],
  ]);
  t.equal(recorder.counts().implausible, 1);
});

t.test("what comes late or twice is counted and changes nothing", async (t) => {
  const recorder = recorderOf(bindingOf());
  recorder.hear(reading(0, 1, { sequence: 1 }));
  recorder.hear(reading(2, 2, { sequence: 2 }));
  recorder.hear(reading(2.1, 9, { sequence: 2 }));
  recorder.hear(reading(1, 9, { sequence: 3 }));
  recorder.hear(reading(3, 3, { sequence: 4 }));
  t.same(points(recorder), [
    [0, 1],
    [2, 2],
  ]);
  t.match(recorder.counts(), { late: 1, duplicates: 1 });
});

t.test("a clock that nobody can trust does not stop the recording", async (t) => {
  await t.test(
    "1970, then the real time: what was recorded moves to where it belongs",
    async (t) => {
      const store = new MemoryKeyValueStore();
      const recorder = recorderOf(bindingOf(), store);
      for (let s = 0; s < 300; s++)
        recorder.hear(reading(s, s, { observedAtMs: s * 1_000, observedAtTrusted: false }));
      t.same(points(recorder)[0], [-FIRST_MS / 1_000, 0]);
      await new Promise(setImmediate);
      for (let s = 300; s < 310; s++) recorder.hear(reading(s, s));
      recorder.hear(reading(310, 310, { observedAtMs: 7, observedAtTrusted: false }));
      recorder.hear(reading(311, 311));
      t.same(
        points(recorder),
        Array.from({ length: 311 }, (_, s) => [s, s]),
      );
      t.equal(recorder.counts().clockJumps, 1);
      await recorder.close();
      const next = recorderOf(bindingOf(), store);
      await next.load();
      t.same(points(next), points(recorder), "on disk too");
    },
  );
  await t.test(
    "one that goes back is not followed, by the monotonic clock nothing is lost",
    async (t) => {
      const recorder = recorderOf(bindingOf());
      for (let s = 0; s < 10; s++)
        recorder.hear(reading(s, s, s < 5 ? {} : { observedAtMs: FIRST_MS - HOUR_MS + s * 1_000 }));
      t.same(
        points(recorder).map(([s]) => s),
        [0, 1, 2, 3, 4, 5, 6, 7, 8],
      );
      t.match(recorder.counts(), { clockJumps: 1, late: 0 });
    },
  );
  await t.test("after a boot without the time it goes on behind a gap", async (t) => {
    const recorder = recorderOf(bindingOf());
    for (const s of [0, 1, 2]) recorder.hear(reading(s, s));
    const boot2 = { bootId: "boot-2", observedAtTrusted: false, observedAtMs: 12 };
    for (const s of [0, 1, 2]) recorder.hear(reading(s - 4, s, boot2));
    const seconds = points(recorder).map(([s]) => s);
    t.equal(seconds.length, 5);
    t.ok((seconds[3] ?? 0) - (seconds[2] ?? 0) > 10, "no window reaches across it");
  });
  await t.test("readings without any time are counted", async (t) => {
    const recorder = recorderOf(bindingOf());
    recorder.hear(reading(0, 1, { monotonicMs: Number.NaN }));
    recorder.hear(reading(0, 1, { observedAtMs: Number.POSITIVE_INFINITY }));
    recorder.hear(reading(1, 1, { observedAtMs: Number.NaN }));
    t.match(recorder.counts(), { unparsable: 1, recorded: 2, points: 1 });
  });
});

t.test("memory is bounded", async (t) => {
  const recorder = recorderOf(
    bindingOf({ historyMs: 2_000_000, channels: [{ name: "t", topic: "#" }] }),
  );
  for (let s = 0; s < 5_000; s++) recorder.hear(reading(s, s, { stream: `plant/${s % 3_000}` }));
  const { points: count, streams, refused, memoryBytes } = recorder.counts();
  t.equal(streams, 1_024);
  t.equal(refused, 2_952);
  t.ok(count <= 2_000);
  t.ok(memoryBytes <= 2_048 * 12);
  const [first] = points(recorder);
  t.ok((first?.[0] ?? 0) > 5_000 - 2_001 - 1_000, "the oldest went");
});

t.test("the history is there again after a restart", async (t) => {
  const store = new MemoryKeyValueStore();
  const channels = [
    { name: "t", topic: "plant/t" },
    { name: "silent", topic: "plant/none" },
  ];
  const binding = bindingOf({ channels });
  const first = recorderOf(binding, store);
  await first.load();
  for (let s = 0; s < 700; s++) first.hear(reading(s + (s >= 300 ? 60 : 0), Math.sin(s)));
  const before = first.series();
  await first.close();
  const second = recorderOf(binding, store);
  await second.load();
  const after = second.series();
  t.same(after.atMs, before.atMs);
  t.same(after.values, before.values, "bit for bit, what is missing too");
  t.equal(second.counts().store?.pointsLoaded, 699);
  second.hear(reading(800, 1, { bootId: "boot-2", monotonicMs: 3 }));
  second.hear(reading(801, 1, { bootId: "boot-2", monotonicMs: 1_003 }));
  t.same(points(second).at(-1), [800, 1, Number.NaN]);
  await second.close();
  const third = recorderOf(binding, store);
  await third.load();
  t.equal(third.counts().points, 700);
  await third.erase();
  t.same(await store.range({ gte: "", lt: "~", limit: 10 }), []);
});

t.test("after a crash all but the last block and minute is there", async (t) => {
  const store = new MemoryKeyValueStore();
  const binding = bindingOf();
  const recorder = recorderOf(binding, store);
  for (let s = 0; s < 700; s++) recorder.hear(reading(s, s));
  // Writes are not waited for on the road of a reading.
  await new Promise(setImmediate);
  const next = recorderOf(binding, store);
  await next.load();
  t.ok(next.counts().points >= 256, `${next.counts().points} of 699`);
});

t.test("damaged blocks are dropped, counted and removed; the others stay", async (t) => {
  const store = new MemoryKeyValueStore();
  const binding = bindingOf();
  const recorder = recorderOf(binding, store);
  for (let s = 0; s < 1_000; s++) recorder.hear(reading(s, s));
  await recorder.close();
  const entries = await store.range({ gte: PREFIX, lt: `${PREFIX}:`, limit: 10 });
  const [key, value] = entries[1] ?? ["", new Uint8Array()];
  const damaged = value.slice();
  damaged[60] = (damaged[60] ?? 0) ^ 1;
  await store.write([{ type: "put", key, value: damaged }], { durable: true });
  const next = recorderOf(binding, store);
  await next.load();
  t.match(next.counts(), { points: 999 - 256, store: { blocksDamaged: 1 } });
  for (let s = 1_001; s < 1_010; s++) next.hear(reading(s, s));
  await next.close();
  t.equal(await store.get(key), undefined);
});

t.test("what the store refuses waits, within bounds, and nobody notices on the road", async (t) => {
  const store = new MemoryKeyValueStore();
  await store.close();
  const recorder = recorderOf(bindingOf({ everyMs: 10, historyMs: HOUR_MS }), store);
  for (let s = 0; s < 20_000; s++) {
    recorder.hear(reading(s / 100, s));
    if (s % 100 === 0) await new Promise(setImmediate);
  }
  await recorder.close();
  const { store: counts, points: count } = recorder.counts();
  t.ok((counts?.writesFailed ?? 0) >= 2);
  t.equal(counts?.pointsLost, 20_000 - 1 - 64 * 256);
  t.equal(count, 19_999, "memory has them");
});

t.test("old blocks are removed as new ones come", async (t) => {
  const store = new MemoryKeyValueStore();
  const recorder = recorderOf(bindingOf({ historyMs: 600_000 }), store);
  for (let s = 0; s < 5_000; s++) {
    recorder.hear(reading(s, s));
    if (s % 50 === 0) await new Promise(setImmediate);
  }
  await recorder.close();
  const entries = await store.range({ gte: PREFIX, lt: `${PREFIX}:`, limit: 100 });
  t.ok(entries.length <= 5, `${entries.length} blocks for 600 points`);
  const next = recorderOf(bindingOf({ historyMs: 600_000 }), store);
  await next.load();
  t.equal(next.counts().points, 600);
});

/** Eighty days of a sensor that says two decimals. */
function machine(): { readonly atMs: number; readonly value: number }[] {
  const random = new SeededRandom("machine");
  return Array.from({ length: 80 * 288 }, (_, at) => {
    const value = 90 + 10 * Math.sin(at / 46) + 2 * random.next();
    return { atMs: at * 300_000, value: Math.round(100 * value) / 100 };
  });
}

t.test("flash: a sensor writes less than is promised", async (t) => {
  const store = new MemoryKeyValueStore();
  const binding = bindingOf({ everyMs: 300_000, gapMsMax: HOUR_MS, historyMs: 90 * 24 * HOUR_MS });
  const recorder = recorderOf(binding, store);
  const all = machine();
  const [first] = all;
  for (const { atMs, value } of all) {
    recorder.hear(
      reading(0, value, { observedAtMs: atMs, monotonicMs: atMs - (first?.atMs ?? 0) }),
    );
    // As long as a write takes.
    if (atMs % HOUR_MS === 0) await new Promise(setImmediate);
  }
  await recorder.close();
  const days = ((all.at(-1)?.atMs ?? 0) - (first?.atMs ?? 0)) / (24 * HOUR_MS);
  const perDay = (recorder.counts().store?.bytesWritten ?? 0) / days;
  const most = historyBytesPerDayMax({ everyMs: binding.everyMs, columns: 1 }, PREFIX);
  t.comment(`${perDay.toFixed(0)} bytes a day for 288 points, ${most} at most`);
  t.ok(perDay < most);
  t.ok(most < 8_192, "a gigabyte lasts for centuries");
});

t.test("who loses its power each evening has a history all the same", async (t) => {
  const store = new MemoryKeyValueStore();
  const binding = bindingOf({ everyMs: 600_000, gapMsMax: HOUR_MS, historyMs: 30 * 24 * HOUR_MS });
  for (let day = 0; day < 3; day++) {
    const recorder = recorderOf(binding, store);
    await recorder.load();
    t.ok(recorder.counts().points >= day * 42, `${recorder.counts().points} steps on day ${day}`);
    for (let step = 0; step < 48; step++) {
      const seconds = 86_400 * day + 600 * step;
      recorder.hear(reading(seconds, step, { monotonicMs: 600_000 * step, bootId: `day-${day}` }));
      await new Promise(setImmediate);
    }
  }
});
