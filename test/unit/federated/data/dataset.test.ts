import t from "tap";
import { blobs } from "../../../../src/federated/data/blobs.ts";
import type { Column } from "../../../../src/federated/data/data-frame.ts";
import {
  type Dataset,
  pick,
  samplesOf,
  standardized,
} from "../../../../src/federated/data/dataset.ts";
import {
  compressDataset,
  decodeDataset,
  decompressDataset,
  encodeDataset,
} from "../../../../src/federated/data/dataset-file.ts";
import { digits, shuttle, vowel } from "../../../../src/federated/data/known-datasets.ts";
import { windowsOf } from "../../../../src/federated/data/windows.ts";
import { SeededRandom } from "../../../../src/platform/seeded-random.ts";

const small = blobs(
  { features: 3, classes: 4, train: 50, test: 20, spread: 0.5 },
  new SeededRandom("blobs"),
);

t.test("a dataset comes back from its file as it was", async (t) => {
  const encoded = encodeDataset(small, "float32");
  t.same(decodeDataset(decompressDataset(compressDataset(encoded))), small);
  const grouped: Dataset = {
    ...small,
    train: { ...small.train, groups: Int32Array.from({ length: 50 }, (_, at) => at * 1_000) },
    test: { ...small.test, groups: new Int32Array(20).fill(7) },
  };
  t.same(decodeDataset(encodeDataset(grouped, "float32")), grouped);
  const bright = {
    ...small,
    train: {
      ...small.train,
      features: small.train.features.map((_, at) => Math.fround((at % 256) / 255)),
    },
  };
  t.same(
    decodeDataset(
      encodeDataset({ ...bright, test: { ...small.test, features: new Float32Array(60) } }, "byte"),
    ).train.features,
    bright.train.features,
    "brightness loses nothing",
  );
  t.throws(() => decompressDataset(encoded), { code: "data.format" });
  t.throws(() => decodeDataset(encoded.subarray(0, encoded.length - 1)), /do not agree/);
});

t.test("standardizing takes its measure from the training samples alone", async (t) => {
  const columns = 3;
  const shifted: Dataset = {
    ...small,
    train: {
      ...small.train,
      features: small.train.features.map((value, at) => (at % columns === 2 ? 5 : 100 + 9 * value)),
    },
    test: { ...small.test, features: new Float32Array(60).fill(100) },
  };
  const { train, test } = standardized(shifted);
  for (let column = 0; column < columns; column++) {
    const values = [...train.features].filter((_, at) => at % columns === column);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
    t.ok(Math.abs(mean) < 1e-5);
    t.ok(Math.abs(variance - (column === 2 ? 0 : 1)) < 1e-4, "and what stands still is zero");
  }
  t.ok(test.features.every(Number.isFinite));
});

t.test("tables become samples, and what is missing is named", async (t) => {
  const columns: Column[] = [
    { name: "a", values: Float64Array.of(1, 2, 3) },
    { name: "who", values: Float64Array.of(0, 0, 1), levels: ["x", "y"] },
    { name: "class", values: Float64Array.of(2, 0, 1), levels: ["p", "q", "r"] },
  ];
  const { samples, features, classes } = samplesOf(columns, { label: "class", group: "who" });
  t.same({ features, classes }, { features: 1, classes: 3 });
  t.same(pick(samples, [2, 0]), {
    count: 2,
    features: Float32Array.of(3, 1),
    targets: Int32Array.of(1, 2),
    groups: Int32Array.of(1, 0),
  });
  t.throws(() => samplesOf(columns, { label: "clas" }), /no column clas, only a, who, class/);
  t.throws(() => samplesOf(columns, { label: "class" }), /who is no column of numbers/);
  columns[0]!.values[1] = Number.NaN;
  t.throws(() => samplesOf(columns, { label: "class", group: "who" }), /a has no value in row 2/);
});

t.test("standard splits", async (t) => {
  const idx = (shape: readonly number[], value: number) => {
    const header = Buffer.alloc(4 + 4 * shape.length);
    header.set([0, 0, 8, shape.length]);
    for (const [at, size] of shape.entries()) header.writeUInt32BE(size, 4 + 4 * at);
    const size = shape.reduce((product, each) => product * each, 1);
    return Buffer.concat([header, Buffer.alloc(size, value)]);
  };
  const pictures = digits("mnist", {
    trainImages: idx([3, 28, 28], 255),
    trainLabels: idx([3], 9),
    testImages: idx([2, 28, 28], 0),
    testLabels: idx([2], 1),
  });
  t.match(pictures, { shape: [28, 28, 1], classes: 10, train: { count: 3 }, test: { count: 2 } });
  t.equal(pictures.train.features[0], 1);
  t.throws(
    () =>
      digits("mnist", {
        trainImages: idx([3, 28, 28], 0),
        trainLabels: idx([2], 0),
        testImages: idx([1, 28, 28], 0),
        testLabels: idx([1], 0),
      }),
    /3 pictures, but 2 labels/,
  );
  const rows = (count: number, value: (at: number) => number) =>
    Float64Array.from({ length: count }, (_, at) => value(at));
  const statlog = shuttle([
    { name: "V1", values: rows(58_000, (at) => at) },
    { name: "Class", values: rows(58_000, (at) => at % 7), levels: Array.from("abcdefg") },
  ]);
  t.match(statlog, { train: { count: 43_500 }, test: { count: 14_500 }, classes: 7 });
  t.equal(statlog.test.features[0], 43_500);
  const spoken = vowel([
    { name: "V1", values: rows(990, (at) => Math.floor(at / 66)), levels: rowNames(15) },
    { name: "V2", values: rows(990, (at) => at) },
    { name: "Class", values: rows(990, (at) => at % 11), levels: rowNames(11) },
  ]);
  t.match(spoken, { train: { count: 528 }, test: { count: 462 }, classes: 11, shape: [1] });
  t.equal(new Set(spoken.train.groups).size, 8);
});

t.test("windows: whole ones, none across a gap, short losses filled", async (t) => {
  const options = { length: 3, step: 2, gapMsMax: 15, fillMax: 1, normalize: "none" } as const;
  const atMs = Float64Array.from({ length: 12 }, (_, at) => (at < 6 ? at * 10 : 1_000 + at * 10));
  const values = Float32Array.from({ length: 12 }, (_, at) => at);
  const whole = windowsOf({ atMs, values, channels: 1 }, options);
  t.same(whole.features, Float32Array.of(0, 1, 2, 2, 3, 4, 6, 7, 8, 8, 9, 10));
  t.same(whole.atMs, Float64Array.of(0, 20, 1_060, 1_080));
  values[1] = Number.NaN;
  values[7] = Number.NaN;
  values[8] = Number.NaN;
  const mended = windowsOf({ atMs, values, channels: 1 }, options);
  t.same(mended.features, Float32Array.of(0, 0, 2, 2, 3, 4, 9, 10, 11));
  const scaled = windowsOf(
    { atMs: Float64Array.of(0, 1, 2), values: Float32Array.of(1, 5, 2, 5, 3, 5), channels: 2 },
    { ...options, normalize: "window" },
  );
  const root = Math.fround(Math.sqrt(1.5));
  t.same([...scaled.features], [-root, 0, 0, 0, root, 0]);
  t.equal(
    windowsOf({ atMs: Float64Array.of(), values: Float32Array.of(), channels: 1 }, options).count,
    0,
  );
  t.throws(
    () =>
      windowsOf(
        { atMs: Float64Array.of(5, 4), values: Float32Array.of(1, 2), channels: 1 },
        options,
      ),
    /reading 1 is older/,
  );
  t.throws(
    () => windowsOf({ atMs, values, channels: 1 }, { ...options, step: 0 }),
    /step: a whole/,
  );
});

function rowNames(count: number): string[] {
  return Array.from({ length: count }, (_, at) => String(at));
}
