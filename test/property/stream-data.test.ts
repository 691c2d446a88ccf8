// Whatever sensors, clocks, disks and neighbours say: histories ascend, windows are whole, and nobody moves the scale alone.
import * as fc from "fast-check";
import t from "tap";
import { DataError } from "../../src/federated/data/data-error.ts";
import { AlertGate } from "../../src/federated/serving/alert-gate.ts";
import {
  decodeVersions,
  encodeVersions,
  noVersions,
  servingOf,
  VERSIONS_MAX,
} from "../../src/federated/serving/version-book.ts";
import { stepVersions, type VersionInput } from "../../src/federated/serving/version-step.ts";
import { decodeBlock, encodeBlock } from "../../src/federated/streams/history-block.ts";
import { LabelBook } from "../../src/federated/streams/label-book.ts";
import {
  agreeNormalization,
  decodeMoments,
  decodeNormalization,
  encodeMoments,
  encodeNormalization,
} from "../../src/federated/streams/normalization.ts";
import { StreamRecorder } from "../../src/federated/streams/stream-recorder.ts";
import { newestWindow, streamSamples } from "../../src/federated/streams/stream-samples.ts";
import { topicMatcher } from "../../src/readings/topic-filter.ts";
import { MemoryKeyValueStore } from "../../src/simulator/memory-key-value-store.ts";
import { bindingOf } from "../support/learning/stream-fixtures.ts";

const seed = Number(process.env["FC_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`fast-check seed ${seed} (FC_SEED=${seed} repeats it)`);
fc.configureGlobal({ seed, numRuns: Number(process.env["FC_RUNS"] ?? 200) });

const odd = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 0, max: 200_000 }) },
  { weight: 1, arbitrary: fc.double() },
);
const payload = fc.oneof(
  fc.double().map(String),
  fc.json(),
  fc.double().map((value) => JSON.stringify({ a: { b: value } })),
  fc.string(),
);
const anyReading = fc.record({
  stream: fc.constantFrom("plant/t", "plant/u", "else"),
  payload: fc.oneof(
    payload.map((text) => new Uint8Array(Buffer.from(text))),
    fc.uint8Array({ maxLength: 20 }),
  ),
  sequence: fc.integer({ min: 0, max: 60 }),
  observedAtMs: odd,
  observedAtTrusted: fc.boolean(),
  monotonicMs: odd,
  bootId: fc.constantFrom("one", "two"),
});

t.test(
  "no reading, and no clock, breaks a recorder; what it keeps ascends and comes back from disk",
  async () => {
    const channels = [
      { name: "t", topic: "plant/+" },
      { name: "b", topic: "plant/t", field: "a.b", combine: "max" },
    ];
    const binding = bindingOf({ channels, historyMs: 100_000, fillMax: 3 });
    await fc.assert(
      fc.asyncProperty(fc.array(anyReading, { maxLength: 60 }), async (readings) => {
        const place = { store: new MemoryKeyValueStore(), prefix: "h/" };
        const recorder = new StreamRecorder({ binding, topicMatcher, place });
        for (const reading of readings) recorder.hear(reading);
        const { atMs, values } = recorder.series();
        const doesAscend = atMs.every(
          (ms, at) => ms >= 0 && ms % 1_000 === 0 && (at === 0 || ms > (atMs[at - 1] ?? 0)),
        );
        const { points, heard, recorded, late, duplicates } = recorder.counts();
        await recorder.close();
        const again = new StreamRecorder({ binding, topicMatcher, place });
        await again.load();
        const loaded = again.series();
        streamSamples(loaded, binding, {});
        newestWindow(loaded, binding, {});
        return (
          doesAscend &&
          values.every((value) => Math.abs(value) !== Number.POSITIVE_INFINITY) &&
          points <= 100 &&
          recorded + late + duplicates <= heard &&
          Buffer.from(loaded.atMs.buffer).equals(Buffer.from(atMs.buffer)) &&
          loaded.values.every((value, at) => Object.is(value, values[at]))
        );
      }),
    );
  },
);

t.test("blocks come back bit for bit, and what is damaged is refused by name", async () => {
  const block = fc
    .tuple(
      fc.integer({ min: 1, max: 4 }),
      fc.array(fc.tuple(fc.integer({ min: 1, max: 1e6 }), fc.infiniteStream(fc.integer())), {
        minLength: 1,
        maxLength: 256,
      }),
    )
    .map(([columns, rows]) => {
      let slot = 0;
      const slots = Float64Array.from(rows, ([distance]) => (slot += distance));
      const bits = Int32Array.from(rows.flatMap(([, words]) => [...words.take(columns)]));
      return { columns, slots, values: new Float32Array(bits.buffer) };
    });
  const bytesOf = (values: Float32Array) =>
    Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  fc.assert(
    fc.property(block, fc.nat(), fc.integer({ min: 1, max: 255 }), (given, place, change) => {
      const encoded = encodeBlock(given);
      const { slots, values } = decodeBlock(encoded, given.columns);
      if (!slots.every((slot, at) => slot === given.slots[at])) return false;
      if (!bytesOf(values).equals(bytesOf(given.values))) return false;
      const damaged = encoded.slice();
      const at = place % damaged.length;
      damaged[at] = (damaged[at] ?? 0) ^ change;
      try {
        decodeBlock(damaged, given.columns);
        return false;
      } catch (error) {
        return error instanceof DataError;
      }
    }),
  );
});

t.test("bytes from anywhere are refused by name, or mean something", async () => {
  const readers: readonly ((bytes: Uint8Array) => unknown)[] = [
    (bytes) => decodeBlock(bytes, 1),
    (bytes) => decodeMoments(bytes, 1),
    (bytes) => decodeNormalization(bytes, 1),
    (bytes) => decodeVersions(bytes),
    (bytes) => LabelBook.decode(bytes),
  ];
  const json = fc.json().map((text) => new Uint8Array(Buffer.from(text)));
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 64 }),
    fc.uint8Array({ minLength: 24, maxLength: 24 }),
    json,
  );
  fc.assert(
    fc.property(bytes, (given) =>
      readers.every((read) => {
        try {
          read(given);
          return true;
        } catch (error) {
          return error instanceof DataError;
        }
      }),
    ),
  );
});

t.test("windows are whole, and what is held out was never seen in training", async () => {
  const settings = fc.record({
    windowLength: fc.integer({ min: 1, max: 5 }),
    windowStep: fc.integer({ min: 1, max: 4 }),
    samplesMax: fc.integer({ min: 2, max: 30 }),
    holdOutShare: fc.double({ min: 0.01, max: 0.9, noNaN: true }),
    fillMax: fc.integer({ min: 0, max: 3 }),
  });
  const silences = fc.array(fc.constantFrom(1, 1, 1, 2, 3, 30), { minLength: 1, maxLength: 80 });
  fc.assert(
    fc.property(settings, silences, (said, steps) => {
      let second = 0;
      const atMs = Float64Array.from(steps, (step) => (second += step) * 1_000);
      // Each value tells its own time.
      const values = Float32Array.from(atMs, (ms) => ms / 1_000);
      const binding = bindingOf(said);
      const { train, holdOut } = streamSamples({ atMs, values, channels: 1 }, binding, {});
      const { windowLength: length, fillMax, samplesMax } = binding;
      const isWhole = (window: Float32Array) =>
        window.every((value, at) => at === 0 || Math.abs(value - (window[0] ?? 0) - at) <= fillMax);
      const windowsOf = ({ features, count }: typeof train) =>
        Array.from({ length: count }, (_, at) => features.subarray(at * length, (at + 1) * length));
      const firstHeldOut = holdOut.features[0] ?? Number.POSITIVE_INFINITY;
      return (
        [...windowsOf(train), ...windowsOf(holdOut)].every(isWhole) &&
        train.count + holdOut.count <= samplesMax &&
        train.features.every(
          (value) => value < firstHeldOut || (fillMax > 0 && value <= firstHeldOut),
        )
      );
    }),
  );
});

const moments = fc.record({
  count: fc.integer({ min: 1, max: 1_000_000 }),
  mean: fc.double({ min: -1e6, max: 1e6, noNaN: true }),
  m2: fc.double({ min: 0, max: 1e9, noNaN: true }),
});
t.test(
  "fewer than half can not move the mean beyond the honest, and the order changes no bit",
  async () => {
    const agents = fc.uniqueArray(fc.tuple(fc.string({ minLength: 1 }), moments), {
      minLength: 1,
      maxLength: 15,
      selector: ([name]) => name,
    });
    const lie = fc.record({
      count: fc.integer({ min: 1, max: 2 ** 40 }),
      mean: fc.double({ min: -1e15, max: 1e15, noNaN: true }),
      m2: fc.double({ min: 0, max: 1e30, noNaN: true }),
    });
    fc.assert(
      fc.property(agents, fc.array(lie, { maxLength: 7 }), (honest, lies) => {
        const few = lies.slice(0, Math.ceil(honest.length / 2) - 1);
        // Told through the wire, as it comes.
        const through = (each: (typeof honest)[number][1]) =>
          decodeMoments(encodeMoments([each]), 1);
        const told = [
          ...honest.map(([name, each]) => [name, through(each)] as const),
          ...few.map((each, at) => [`liar-${at}-${"x".repeat(9)}`, through(each)] as const),
        ];
        const one = agreeNormalization(new Map(told), 1);
        const other = agreeNormalization(new Map(told.toReversed()), 1);
        const means = honest.map(([, { mean }]) => mean);
        const mean = one.mean[0] ?? Number.NaN;
        const spreads = honest.map(([, each]) => each.m2 / each.count + (each.mean - mean) ** 2);
        const deviation = one.deviation[0] ?? Number.NaN;
        const least = 1e-4 * Math.max(1, Math.abs(mean));
        return (
          Buffer.from(encodeNormalization(one)).equals(Buffer.from(encodeNormalization(other))) &&
          mean >= Math.min(...means) &&
          mean <= Math.max(...means) &&
          deviation >= least &&
          deviation <= Math.max(least, Math.sqrt(Math.max(...spreads)) * (1 + 1e-12)) &&
          decodeNormalization(encodeNormalization(one), 1).mean[0] === mean
        );
      }),
    );
  },
);

t.test("alerts begin and end in turn, and never more of them in an hour than wanted", async () => {
  const rules = fc.record({
    raiseCount: fc.integer({ min: 1, max: 3 }),
    raiseOf: fc.integer({ min: 3, max: 6 }),
    clearAfter: fc.integer({ min: 1, max: 4 }),
    alertsPerHourMax: fc.integer({ min: 1, max: 4 }),
  });
  fc.assert(
    fc.property(rules, fc.array(fc.boolean(), { maxLength: 200 }), (own, windows) => {
      const gate = new AlertGate(own);
      const told: { change: string; atMs: number }[] = [];
      for (const [at, isAbove] of windows.entries()) {
        const change = gate.take(isAbove, at * 60_000);
        if (change !== undefined) told.push({ change, atMs: at * 60_000 });
      }
      const raised = told.filter(({ change }) => change === "raised");
      return (
        told.every(({ change }, at) => change === (at % 2 === 0 ? "raised" : "cleared")) &&
        raised.every(
          ({ atMs }, at) =>
            atMs - (raised[at - own.alertsPerHourMax]?.atMs ?? Number.NEGATIVE_INFINITY) >=
            3_600_000,
        )
      );
    }),
  );
});

t.test(
  "whatever happens to versions: one serves from the first on, few are kept, what is pinned stays",
  async () => {
    const round = fc.integer({ min: 0, max: 12 });
    const error = fc.oneof(fc.double({ min: 0, max: 3, noNaN: true }), fc.double());
    const input: fc.Arbitrary<VersionInput> = fc.oneof(
      fc.record({
        kind: fc.constant("offered" as const),
        round: fc.integer({ min: 0, max: 40 }),
        hash: fc.constant("ab".repeat(32)),
        holdOutError: error,
      }),
      fc.record({
        kind: fc.constant("shadowed" as const),
        round,
        canaryError: error,
        servingError: error,
      }),
      fc.record({
        kind: fc.constantFrom(
          "promote" as const,
          "pin" as const,
          "rollback" as const,
          "lost" as const,
        ),
        round,
      }),
      fc.constantFrom({ kind: "rollback" } as const, { kind: "unpin" } as const),
    );
    const rules = { shadowWindows: 2, worseShareMax: 0.1 };
    fc.assert(
      fc.property(fc.array(input, { maxLength: 80 }), (inputs) => {
        let book = noVersions;
        const kept = new Set<number>();
        for (const [at, each] of inputs.entries()) {
          const before = book;
          const step = stepVersions(book, each, rules, at);
          book = step.book;
          for (const { round: known } of book.versions) kept.add(known);
          for (const effect of step.effects)
            if (effect.kind === "forget") kept.delete(effect.version.round);
          const serving = servingOf(book);
          const served = step.effects.findLast(({ kind }) => kind === "serve");
          if (book.versions.length > VERSIONS_MAX) return false;
          if (kept.size !== book.versions.length) return false;
          if (book.versions.length > 0 && serving === undefined) return false;
          if (book.pinnedRound !== undefined && serving?.round !== book.pinnedRound) return false;
          if (served !== undefined && served.version?.round !== serving?.round) return false;
          if (served === undefined && servingOf(before)?.round !== serving?.round) return false;
          if (step.refusal !== undefined && book !== before) return false;
          decodeVersions(encodeVersions(book));
        }
        return true;
      }),
    );
  },
);
