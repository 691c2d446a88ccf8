import t from "tap";
import { LabelBook } from "../../../../src/federated/streams/label-book.ts";
import {
  newestWindow,
  pointsForWindow,
  streamSamples,
} from "../../../../src/federated/streams/stream-samples.ts";
import { bindingOf, seriesOf } from "../../../support/learning/stream-fixtures.ts";

const count = (many: number) => Array.from({ length: many }, (_, at) => [at]);
const channels = [
  { name: "a", topic: "a" },
  { name: "b", topic: "b" },
];

t.test(
  "windows of a history, the newest held out, none of which shares a moment with training",
  async (t) => {
    const binding = bindingOf({ windowLength: 3, holdOutShare: 0.25 });
    const { train, holdOut, holdOutAtMs } = streamSamples(seriesOf(count(22)), binding, {});
    t.equal(train.count + holdOut.count, 18, "20 windows, two of which reach across");
    t.same(holdOut.features.slice(0, 3), Float32Array.of(15, 16, 17));
    t.same(train.features.slice(-3), Float32Array.of(12, 13, 14));
    t.equal(holdOutAtMs[0], 17_000);
    t.same(train.targets, train.features, "an autoencoder's answer is its question");
  },
);

t.test("a forecast's targets are the steps that follow, of all channels", async (t) => {
  const binding = bindingOf({ channels, windowLength: 2, goal: { kind: "forecast", horizon: 2 } });
  const rows = count(10).map(([at = 0]) => [at, 10 * at]);
  const { train } = streamSamples(seriesOf(rows), binding, {});
  t.same(train.features.slice(0, 4), Float32Array.of(0, 0, 1, 10));
  t.same(train.targets.slice(0, 4), Float32Array.of(2, 20, 3, 30));
});

t.test("more windows than samplesMax are cut further apart", async (t) => {
  const binding = bindingOf({ samplesMax: 10, holdOutShare: 0.5 });
  const { train, holdOut } = streamSamples(seriesOf(count(1_000)), binding, {});
  t.equal(train.count + holdOut.count, 10);
  t.ok((holdOut.features.at(-1) ?? 0) > 890, "up to the newest");
  t.equal(train.features[0], 0, "and from the oldest on");
});

t.test("a step without any reading is missing: it is filled, or ends the window", async (t) => {
  const seconds = [0, 1, 3, 4, 5, 6, 12, 13, 14, 15];
  const series = seriesOf(count(10), seconds);
  const cut = (said: object) => {
    const { train, holdOut } = streamSamples(
      series,
      bindingOf({ holdOutShare: 0.01, ...said }),
      {},
    );
    return [...train.features, ...holdOut.features];
  };
  t.same(cut({}), [12, 13, 14, 15].map((_, at) => [2, 3, 4, 5][at]).concat([6, 7, 8, 9]));
  t.same(cut({ fillMax: 1 }).slice(0, 4), [0, 1, 1, 2], "second 2 is filled with what was at 1");
  t.same(
    cut({ fillMax: 9, gapMsMax: 2_000 }).slice(-4),
    [6, 7, 8, 9],
    "longer than gapMsMax is not",
  );
});

t.test(
  "federated: values are those of the agreed scale, and without it there is an error",
  async (t) => {
    const binding = bindingOf({ normalize: "federated", windowLength: 1, holdOutShare: 0.01 });
    const normalization = { mean: Float64Array.of(4), deviation: Float64Array.of(2) };
    const { train } = streamSamples(seriesOf([[0], [4], [8], [1e9], [0]]), binding, {
      normalization,
    });
    t.same([...train.features], [-2, 0, 2, 12], "a value far away is cut at twelve deviations");
    t.throws(() => streamSamples(seriesOf(count(9)), binding, {}), { code: "data.setting" });
  },
);

t.test("classes by rule, by topic and by hand", async (t) => {
  const rows = [[0], [20], [90], [50], [Number.NaN], [10]];
  const classify = (
    labels: object,
    labelAt?: (ms: number) => number | undefined,
    values = rows,
  ) => {
    const goal = { kind: "classify", classes: 3, labels };
    const binding = bindingOf({ windowLength: 1, fillMax: 3, holdOutShare: 0.01, goal });
    const made = streamSamples(seriesOf(values), binding, labelAt === undefined ? {} : { labelAt });
    return [...made.train.targets, ...made.holdOut.targets];
  };
  const rules = [
    { channel: "t", above: 80, class: 2 },
    { channel: "t", above: 15, below: 60, class: 1 },
  ];
  t.same(classify({ kind: "rules", rules }), [0, 1, 2, 1, 0, 0], "what is filled fits no rule");
  const labelled = rows.map((row, at) => [...row, [Number.NaN, 1, Number.NaN, 2, 7, 0][at] ?? 0]);
  t.same(
    classify({ kind: "topic", topic: "state" }, undefined, labelled),
    [1, 1, 2, 0],
    "from the first on, until the next one; what is no class teaches nothing",
  );
  const book = new LabelBook();
  book.add({ fromMs: 1_000, toMs: 3_000, class: 1, who: "maria" });
  book.add({ fromMs: 3_000, toMs: 3_000, class: 0, who: "maria" });
  t.same(
    classify({ kind: "hand" }, (ms) => book.classAt(ms)),
    [1, 1, 0],
  );
});

t.test("what people called a failure is not learned as normal", async (t) => {
  const binding = bindingOf({ windowLength: 2, holdOutShare: 0.01 });
  const labelAt = (ms: number) => (ms === 3_000 ? 1 : undefined);
  const { train, holdOut } = streamSamples(seriesOf(count(8)), binding, { labelAt });
  t.same([...train.features, ...holdOut.features], [0, 1, 1, 2, 4, 5, 6, 7]);
});

t.test("the newest window is there as soon as its last point is", async (t) => {
  const binding = bindingOf({ windowLength: 3, fillMax: 1 });
  const window = (rows: number[][], seconds?: number[]) =>
    newestWindow(seriesOf(rows.slice(-pointsForWindow(binding)), seconds), binding, {});
  t.equal(window(count(2)), undefined);
  t.match(window(count(3)), { fromMs: 0, toMs: 2_000 });
  t.same([...(window([[5], [1], [Number.NaN], [3]])?.features ?? [])], [1, 1, 3]);
  t.equal(window([[1], [2], [Number.NaN], [Number.NaN]]), undefined, "too much is missing");
  t.equal(window([[1], [2], [3], [4]], [0, 1, 2, 60]), undefined, "it was silent too long");
  const forecast = bindingOf({ windowLength: 2, goal: { kind: "forecast", horizon: 2 } });
  const judged = newestWindow(seriesOf(count(6)), forecast, {});
  t.same([...(judged?.features ?? [])], [2, 3]);
  t.same([...(judged?.targets ?? [])], [4, 5], "what was to come, and came");
  t.same([...(judged?.newest ?? [])], [4, 5], "what to say the future of");
});

t.test("a history without a single window gives no samples", async (t) => {
  const { train, holdOut } = streamSamples(seriesOf(count(2)), bindingOf(), {});
  t.same([train.count, holdOut.count], [0, 0]);
  const empty = streamSamples(seriesOf([]), bindingOf(), {});
  t.same([empty.train.count, empty.holdOut.count], [0, 0]);
});
