import t from "tap";
import {
  aggregate,
  CONTRIBUTIONS_MAX,
  inCanonicalOrder,
} from "../../../../src/federated/strategies/aggregate.ts";
import type {
  Aggregation,
  Contribution,
} from "../../../../src/federated/strategies/aggregation.ts";
import { average } from "../../../../src/federated/strategies/helpers.ts";
import { PlainVectorMath } from "../../../../src/federated/strategies/plain-vector-math.ts";
import { Bulyan } from "../../../../src/federated/strategies/rules/bulyan.ts";
import { CentredClipping } from "../../../../src/federated/strategies/rules/centred-clipping.ts";
import {
  CoordinateMedian,
  TrimmedMean,
} from "../../../../src/federated/strategies/rules/coordinatewise.ts";
import { GeometricMedian } from "../../../../src/federated/strategies/rules/geometric-median.ts";
import { Krum, MultiKrum } from "../../../../src/federated/strategies/rules/krum.ts";
import { Mean } from "../../../../src/federated/strategies/rules/mean.ts";
import {
  Bucketing,
  NearestNeighbourMixing,
  PreparedAggregation,
} from "../../../../src/federated/strategies/rules/preparations.ts";
import { QFedAvg } from "../../../../src/federated/strategies/rules/qfedavg.ts";
import { SeededRandom } from "../../../../src/platform/seeded-random.ts";

const math = new PlainVectorMath();

function contributions(values: readonly (readonly number[])[], weight = 1): Contribution[] {
  return values.map((each, index) => ({
    sender: `agent-${index}`,
    values: Float32Array.from(each),
    weight,
    loss: 1 + index,
  }));
}

const line = (count: number) => contributions(Array.from({ length: count }, (_, at) => [at, -at]));

t.test("what can not be combined is refused by name, whatever the rule", async (t) => {
  const rules: Aggregation[] = [
    new Mean(),
    new QFedAvg({ q: 1, learningRate: 0.1 }),
    new Krum({ byzantine: 1 }),
    new MultiKrum({ byzantine: 1 }),
    new Bulyan({ byzantine: 1 }),
    new CoordinateMedian(),
    new TrimmedMean({ trim: 1 }),
    new GeometricMedian(),
    new CentredClipping({ radius: 1 }),
    new PreparedAggregation(
      [new NearestNeighbourMixing({ byzantine: 1 })],
      new Krum({ byzantine: 1 }),
    ),
    { name: "first", aggregate: ([first]) => first! },
  ];
  const refused = (
    rule: Aggregation,
    code: string,
    message: RegExp,
    spoil: (good: Contribution[]) => Contribution[],
    sender?: string,
  ) => {
    const expected = { name: "AggregationError", code: `aggregation.${code}`, message };
    t.throws(
      () => aggregate(rule, spoil(line(9)), { math }),
      sender === undefined ? expected : { ...expected, sender },
      `${rule.name}: ${code}`,
    );
  };
  const with3 = (change: Partial<Contribution>) => (good: Contribution[]) =>
    good.with(3, { ...good[3]!, ...change });
  for (const rule of rules) {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const message = new RegExp(`agent-3 holds ${bad} at 1`);
      const values = Float32Array.of(0, bad);
      refused(rule, "not-finite", message, with3({ values }), "agent-3");
    }
    refused(rule, "no-updates", /nobody/, () => []);
    const short = new Float32Array(1);
    refused(
      rule,
      "length",
      /agent-3 has 1 values where that of agent-0 has 2/,
      with3({ values: short }),
      "agent-3",
    );
    refused(rule, "length", /no values/, (good) =>
      good.map((each) => ({ ...each, values: new Float32Array(0) })),
    );
    for (const weight of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 54])
      refused(rule, "weight", /weight of agent-3/, with3({ weight }), "agent-3");
    refused(rule, "sender", /agent-2 contributed twice/, with3({ sender: "agent-2" }), "agent-2");
    refused(rule, "sender", /no sender/, with3({ sender: "" }));
  }
  refused(new Mean(), "too-large", /CONTRIBUTIONS_MAX/, () => line(CONTRIBUTIONS_MAX + 1));
  t.throws(() => aggregate(new Mean(), line(3), { math, length: 3 }), {
    code: "aggregation.length",
    message: /agent-0 has 2 values where the model has 3/,
  });
});

t.test("a rule that answers with nonsense is refused", async (t) => {
  const wrong = (name: string, result: Float32Array): Aggregation => ({
    name,
    aggregate: () => result,
  });
  t.throws(() => aggregate(wrong("short", new Float32Array(1)), line(3), { math }), {
    code: "aggregation.length",
    message: /the rule short gave 1 values for updates of 2/,
  });
  t.throws(() => aggregate(wrong("odd", Float32Array.of(Number.NaN, 1)), line(3), { math }), {
    code: "aggregation.overflow",
    message: /the rule odd left the range/,
  });
});

t.test("the order is that of the senders' names, in code units", async (t) => {
  const names = ["b", "a-10", "a-2", "Z", "é", "\u{1f600}", "\ufb00"];
  const order = inCanonicalOrder(names.map((sender) => ({ ...line(1)[0]!, sender })));
  t.same(
    order.map(({ sender }) => sender),
    ["Z", "a-10", "a-2", "b", "é", "\u{1f600}", "\ufb00"],
  );
});

t.test("too few for what a rule is to withstand", async (t) => {
  const needs = (rule: Aggregation, least: number, message: RegExp) => {
    const few = { code: "aggregation.too-few", message };
    t.throws(() => aggregate(rule, line(least - 1), { math }), few, rule.name);
    t.equal(
      aggregate(rule, line(least), { math }).length,
      2,
      `${least} are enough for ${rule.name}`,
    );
  };
  for (const f of [0, 1, 2, 7]) {
    needs(new Krum({ byzantine: f }), 2 * f + 3, new RegExp(`needs ${2 * f + 3} updates`));
    needs(new MultiKrum({ byzantine: f }), 2 * f + 3, /2f \+ 3/);
    needs(new Bulyan({ byzantine: f }), 4 * f + 3, /4f \+ 3/);
  }
  needs(new MultiKrum({ byzantine: 1, select: 5 }), 6, /select at most 4/);
  needs(new TrimmedMean({ trim: 3 }), 7, /more than 6/);
  needs(new TrimmedMean({ share: 0.1 }), 10, /trim nothing of 9/);
  const mixing = new NearestNeighbourMixing({ byzantine: 2 });
  needs(new PreparedAggregation([mixing], new Mean()), 5, /2f \+ 1/);
});

t.test("options out of range", async (t) => {
  const bad = (make: () => unknown, message: RegExp) =>
    t.throws(make, { code: "aggregation.options", message });
  bad(() => new Krum({ byzantine: -1 }), /byzantine of krum is -1/);
  bad(() => new MultiKrum({ byzantine: 1, select: 0 }), /select of multi-krum/);
  bad(() => new Bulyan({ byzantine: 0.5 }), /byzantine of bulyan/);
  bad(() => new TrimmedMean({ trim: 0 }), /trim of trimmed-mean is 0/);
  bad(() => new TrimmedMean({ share: 0.5 }), /below 0.5/);
  bad(() => new GeometricMedian({ iterations: 0 }), /iterations/);
  bad(() => new GeometricMedian({ smoothing: 0 }), /smoothing/);
  bad(() => new CentredClipping({ radius: Number.NaN }), /radius/);
  bad(() => new QFedAvg({ q: -1, learningRate: 1 }), /q of qfedavg/);
  bad(() => new QFedAvg({ q: 1, learningRate: 0 }), /learningRate/);
  bad(() => new NearestNeighbourMixing({ byzantine: 0 }), /byzantine/);
  bad(() => new Bucketing({ size: 1 }), /size/);
});

t.test("small cases by hand", async (t) => {
  const of = (rule: Aggregation, given: readonly Contribution[]) => [
    ...aggregate(rule, given, { math }),
  ];
  t.same(
    of(new Mean(), [
      ...contributions([[1, 0]]),
      { ...contributions([[5, 8]], 3)[0]!, sender: "b" },
    ]),
    [4, 6],
  );
  const crowd = contributions([[1], [1.5], [2], [100], [2.5]]);
  t.same(of(new Krum({ byzantine: 1 }), crowd), [1.5], "of two with one score the first");
  t.same(of(new MultiKrum({ byzantine: 1 }), crowd), [1.75]);
  t.same(of(new MultiKrum({ byzantine: 1, select: 2 }), crowd), [1.75]);
  t.same(of(new CoordinateMedian(), crowd), [2]);
  t.same(of(new TrimmedMean({ trim: 1 }), crowd), [2]);
  t.same(of(new TrimmedMean({ share: 0.45 }), crowd), [2]);
  const twoCamps = contributions([
    [0, 0],
    [0, 0],
    [0, 0],
    [9, 9],
    [9, 9],
  ]);
  const [x, y] = of(new GeometricMedian(), twoCamps);
  t.ok(Math.hypot(x!, y!) < 1e-3, "the larger camp wins outright");
  t.same(
    of(
      new CentredClipping({ radius: 3 }),
      contributions([
        [30, 40],
        [0, -2],
      ]),
    ),
    [Math.fround(0.9), Math.fround(0.2)],
  );
  t.same(
    [
      ...aggregate(new CentredClipping({ radius: 100 }), crowd, {
        math,
        previous: Float32Array.of(7),
      }),
    ],
    of(new Mean(), crowd).map(Math.fround),
    "a wide radius is the mean, wherever it begins",
  );
});

t.test("Bulyan: a liar that Krum takes moves no coordinate far", async (t) => {
  // Three honest values a coordinate vary; the liar copies an honest update but for one coordinate.
  const random = new SeededRandom("bulyan");
  const honest = Array.from({ length: 6 }, () => Array.from({ length: 200 }, () => random.next()));
  const liar = honest[0]!.with(0, 3);
  const [first] = aggregate(new Bulyan({ byzantine: 1 }), contributions([...honest, liar]), {
    math,
  });
  t.ok(first! <= Math.max(...honest.map((each) => each[0]!)), `${first}`);
});

t.test("q-FedAvg", async (t) => {
  const given = contributions([
    [1, 2],
    [3, -4],
    [0.5, 1],
  ]);
  const at = (q: number, list = given) => [
    ...aggregate(new QFedAvg({ q, learningRate: 0.1 }), list, { math }),
  ];
  t.same(at(0), [...aggregate(new Mean(), given, { math })], "q = 0 is the mean");
  // Algorithm 2 as it is written, in float64.
  const q = 2;
  const L = 10;
  let divisor = 0;
  const sum = [0, 0];
  for (const { values, loss = 0 } of given) {
    const square = (L * values[0]!) ** 2 + (L * values[1]!) ** 2;
    divisor += q * loss ** (q - 1) * square + L * loss ** q;
    for (const k of [0, 1]) sum[k] = sum[k]! + loss ** q * L * values[k]!;
  }
  for (const [k, value] of at(q).entries())
    t.ok(Math.abs(value / (sum[k]! / divisor) - 1) < 1e-6, `${value}`);
  t.ok(
    at(
      100,
      given.map((each) => ({ ...each, loss: 1e6 })),
    ).every(Number.isFinite),
  );
  t.ok(
    at(
      0.5,
      given.map((each) => ({ ...each, loss: 0 })),
    ).every(Number.isFinite),
  );
  const lost = { code: "aggregation.losses" };
  t.throws(
    () =>
      at(
        1,
        given.map(({ sender, values, weight }) => ({ sender, values, weight })),
      ),
    lost,
  );
  t.throws(() => at(1, given.with(1, { ...given[1]!, loss: -1 })), lost);
  t.throws(() => at(1, given.with(1, { ...given[1]!, loss: Number.NaN })), lost);
});

t.test("preparations", async (t) => {
  const given = contributions([[0], [1], [2], [50], [3]]);
  const seen: number[][] = [];
  const watch: Aggregation = {
    name: "watch",
    aggregate(updates, weights, { math }) {
      seen.push(updates.map(([value]) => value!));
      seen.push([...weights]);
      return average(updates, math);
    },
  };
  const mixing = new PreparedAggregation([new NearestNeighbourMixing({ byzantine: 2 })], watch);
  t.equal(mixing.name, "nearest-neighbour-mixing + watch");
  aggregate(mixing, given, { math });
  t.same(seen.splice(0), [
    [1, 1, 2, Math.fround(55 / 3), 2],
    [1, 1, 1, 1, 1],
  ]);
  const bucketing = new PreparedAggregation([new Bucketing({ size: 2 })], watch);
  const bucketed = (seed: string) => {
    aggregate(bucketing, given, { math, random: new SeededRandom(seed) });
    return seen.splice(0);
  };
  const [buckets, weights] = bucketed("a");
  t.equal(buckets!.length, 3);
  t.same(weights, [2, 2, 1]);
  t.equal(
    buckets!.reduce((sum, value, index) => sum + value * weights![index]!, 0),
    56,
  );
  t.same(bucketed("a"), [buckets, weights], "the same by the same seed");
  t.throws(() => aggregate(bucketing, given, { math }), { code: "aggregation.random" });
  const clipping = new PreparedAggregation([], new CentredClipping({ radius: 1 }));
  t.equal(clipping.usesPrevious, true);
});
