import t from "tap";
import {
  agreeNormalization,
  type ChannelMoments,
  decodeMoments,
  decodeNormalization,
  denormalized,
  encodeMoments,
  encodeNormalization,
  mergeMoments,
  momentsOf,
  normalized,
} from "../../../../src/federated/streams/normalization.ts";
import { SeededRandom } from "../../../../src/platform/seeded-random.ts";
import { seriesOf } from "../../../support/learning/stream-fixtures.ts";

const told = (...all: readonly (readonly ChannelMoments[])[]) =>
  new Map(all.map((moments, at) => [`agent-${at}`, moments]));

t.test("moments leave out what is missing, each channel for itself", async (t) => {
  const moments = momentsOf(
    seriesOf([
      [1, 5],
      [Number.NaN, 7],
      [3, Number.NaN],
    ]),
  );
  t.same(moments, [
    { count: 2, mean: 2, m2: 2 },
    { count: 2, mean: 6, m2: 2 },
  ]);
  t.same(momentsOf(seriesOf([[Number.NaN]])), [{ count: 0, mean: 0, m2: 0 }]);
});

t.test("moments of parts are those of the whole", async (t) => {
  const random = new SeededRandom(3);
  const rows = Array.from({ length: 3_000 }, () => [1e6 + random.next()]);
  const whole = momentsOf(seriesOf(rows))[0];
  const parts = [rows.slice(0, 7), rows.slice(7, 1_000), rows.slice(1_000)];
  const merged = parts
    .map((part) => momentsOf(seriesOf(part))[0] as ChannelMoments)
    .reduce(mergeMoments);
  t.equal(merged.count, whole?.count);
  t.ok(Math.abs(merged.mean - (whole?.mean ?? 0)) < 1e-6);
  t.ok(
    Math.abs(merged.m2 / (whole?.m2 ?? 1) - 1) < 1e-6,
    "though the mean is a million deviations",
  );
});

t.test("the same bits in whatever order agents are heard", async (t) => {
  const random = new SeededRandom(5);
  const all = [
    ...told(
      ...Array.from({ length: 9 }, () => momentsOf(seriesOf([[random.next()], [random.next()]]))),
    ),
  ];
  for (const rule of ["median", "pooled"] as const) {
    const one = encodeNormalization(agreeNormalization(new Map(all), 1, rule));
    const other = encodeNormalization(agreeNormalization(new Map(all.toReversed()), 1, rule));
    t.same(one, other);
  }
});

t.test("a liar can not move the scale, however many values it claims", async (t) => {
  const honest = [18, 20, 21].map((mean) => [{ count: 100, mean, m2: 400 }]);
  const liar = [{ count: 2 ** 40, mean: -1e15, m2: 1e30 }];
  const { mean, deviation } = agreeNormalization(told(...honest, liar), 1);
  t.ok((mean[0] ?? 0) >= 18 && (mean[0] ?? 0) <= 21, `mean ${mean[0]}`);
  t.ok((deviation[0] ?? 0) >= 2 && (deviation[0] ?? 0) <= 3.7, `deviation ${deviation[0]}`);
  const pooled = agreeNormalization(told(...honest, liar), 1, "pooled");
  t.ok((pooled.mean[0] ?? 0) < -1e14, "pooled is for those who trust each other");
});

t.test("calm sensors at different levels are not blown up", async (t) => {
  const calm = [10, 20, 30].map((mean) => [{ count: 50, mean, m2: 0.5 }]);
  const { deviation } = agreeNormalization(told(...calm), 1);
  t.ok((deviation[0] ?? 0) > 9, "what differs between agents counts");
});

t.test("a channel that stands still, or that nobody has, divides by no zero", async (t) => {
  const { mean, deviation } = agreeNormalization(
    told([
      { count: 9, mean: 5_000, m2: 0 },
      { count: 0, mean: 0, m2: 0 },
    ]),
    2,
  );
  t.same([...mean], [5_000, 0]);
  t.same([...deviation], [0.5, 1]);
  const none = agreeNormalization(new Map(), 1);
  t.same([none.mean[0], none.deviation[0]], [0, 1]);
});

t.test("there and back", async (t) => {
  const normalization = agreeNormalization(
    told(
      momentsOf(
        seriesOf([
          [1, 100],
          [3, 300],
        ]),
      ),
    ),
    2,
  );
  const series = seriesOf([
    [2, 250],
    [Number.NaN, 100],
  ]);
  const { values } = normalized(series, normalization);
  t.ok(Number.isNaN(values[2]), "what is missing stays missing");
  t.same([...denormalized(values.slice(0, 2), normalization)], [2, 250]);
});

t.test("what no history can have is refused", async (t) => {
  const encoded = encodeMoments([{ count: 3, mean: 2, m2: 1 }]);
  t.same(decodeMoments(encoded, 1), [{ count: 3, mean: 2, m2: 1 }]);
  t.throws(() => decodeMoments(encoded, 2), { code: "data.format" });
  for (const wrong of [
    { count: -1, mean: 0, m2: 0 },
    { count: 1.5, mean: 0, m2: 0 },
    { count: 2 ** 41, mean: 0, m2: 0 },
    { count: 1, mean: Number.NaN, m2: 0 },
    { count: 1, mean: 1e16, m2: 0 },
    { count: 1, mean: 0, m2: -1 },
    { count: 1, mean: 0, m2: Number.POSITIVE_INFINITY },
  ])
    t.throws(() => decodeMoments(encodeMoments([wrong]), 1), { code: "data.format" });
  const good = { mean: Float64Array.of(1), deviation: Float64Array.of(2) };
  t.same(decodeNormalization(encodeNormalization(good), 1), good);
  const zero = encodeNormalization({ ...good, deviation: Float64Array.of(0) });
  t.throws(() => decodeNormalization(zero, 1), { code: "data.format" });
  t.throws(() => decodeNormalization(encodeNormalization(good), 3), { code: "data.format" });
});
