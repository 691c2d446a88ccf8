import * as fc from "fast-check";
import t from "tap";
import { aggregate } from "../../src/federated/strategies/aggregate.ts";
import type { Aggregation, Contribution } from "../../src/federated/strategies/aggregation.ts";
import { PlainVectorMath } from "../../src/federated/strategies/plain-vector-math.ts";
import { StrategyRegistry } from "../../src/federated/strategies/registry.ts";
import { Bulyan } from "../../src/federated/strategies/rules/bulyan.ts";
import { CentredClipping } from "../../src/federated/strategies/rules/centred-clipping.ts";
import {
  CoordinateMedian,
  TrimmedMean,
} from "../../src/federated/strategies/rules/coordinatewise.ts";
import { GeometricMedian } from "../../src/federated/strategies/rules/geometric-median.ts";
import { Krum, MultiKrum } from "../../src/federated/strategies/rules/krum.ts";
import { Mean } from "../../src/federated/strategies/rules/mean.ts";
import {
  Bucketing,
  NearestNeighbourMixing,
  PreparedAggregation,
} from "../../src/federated/strategies/rules/preparations.ts";
import { QFedAvg } from "../../src/federated/strategies/rules/qfedavg.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { SimdVectorMath } from "../../src/platform/simd/vector-math-simd.ts";

const seed = Number(process.env["FC_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`fast-check seed ${seed} (FC_SEED=${seed} repeats it)`);
fc.configureGlobal({ seed, numRuns: Number(process.env["FC_RUNS"] ?? 150) });

const plain = new PlainVectorMath();
const simd = new SimdVectorMath({ threads: 2 });
t.teardown(() => simd.dispose());

/** Rules for f liars, and whether they move with the updates: shifted, and stretched by a power of two. */
const rulesFor = (f: number): { rule: Aggregation; shifts: boolean; stretches: boolean }[] => [
  { rule: new Mean(), shifts: true, stretches: true },
  { rule: new QFedAvg({ q: 1.5, learningRate: 0.1 }), shifts: false, stretches: false },
  { rule: new Krum({ byzantine: f }), shifts: true, stretches: true },
  { rule: new MultiKrum({ byzantine: f }), shifts: true, stretches: true },
  { rule: new Bulyan({ byzantine: f }), shifts: true, stretches: true },
  { rule: new CoordinateMedian(), shifts: true, stretches: true },
  { rule: new TrimmedMean({ trim: f }), shifts: true, stretches: true },
  { rule: new GeometricMedian(), shifts: true, stretches: false },
  { rule: new CentredClipping({ radius: 2 }), shifts: false, stretches: false },
  ...[new NearestNeighbourMixing({ byzantine: f }), new Bucketing({ size: 2 })].map((first) => ({
    rule: new PreparedAggregation([first], new CoordinateMedian()),
    shifts: true,
    stretches: true,
  })),
];

interface Round {
  readonly f: number;
  readonly given: readonly Contribution[];
}

/** Enough for every rule: 4f + 3 and some more; values with so few bits that squares and shifts are exact. */
const round: fc.Arbitrary<Round> = fc
  .record({
    f: fc.integer({ min: 1, max: 3 }),
    more: fc.integer({ min: 0, max: 4 }),
    length: fc.integer({ min: 1, max: 9 }),
    spread: fc.integer({ min: 1, max: 1_000 }),
  })
  .chain(({ f, more, length, spread }) =>
    fc
      .array(
        fc.record({
          values: fc.array(fc.integer({ min: -spread, max: spread }), {
            minLength: length,
            maxLength: length,
          }),
          weight: fc.integer({ min: 1, max: 9 }),
          loss: fc.integer({ min: 1, max: 100 }),
        }),
        { minLength: 4 * f + 3 + more, maxLength: 4 * f + 3 + more },
      )
      .map((all) => ({
        f,
        given: all.map(({ values, weight, loss }, index) => ({
          sender: `s${index}`,
          values: Float32Array.from(values, (value) => value / 256),
          weight,
          loss,
        })),
      })),
  );

const run = (
  rule: Aggregation,
  given: readonly Contribution[],
  math = plain as PlainVectorMath | SimdVectorMath,
) => aggregate(rule, given, { math, random: new SeededRandom("shared") });
const bits = (values: Float32Array) => [
  ...new Int32Array(values.buffer, values.byteOffset, values.length),
];
const changed = (given: readonly Contribution[], change: (value: number, at: number) => number) =>
  given.map((each) => ({ ...each, values: each.values.map(change) }));

t.test(
  "the order in which contributions come changes no bit, nor do SIMD and threads",
  async () => {
    fc.assert(
      fc.property(
        round.chain(({ f, given }) =>
          fc.record({
            f: fc.constant(f),
            given: fc.constant(given),
            shuffled: fc.shuffledSubarray([...given], { minLength: given.length }),
          }),
        ),
        ({ f, given, shuffled }) => {
          for (const { rule } of rulesFor(f)) {
            const wanted = bits(run(rule, given)).join();
            if (bits(run(rule, shuffled)).join() !== wanted) throw new Error(`${rule.name}: order`);
            if (bits(run(rule, shuffled, simd)).join() !== wanted)
              throw new Error(`${rule.name}: SIMD`);
          }
        },
      ),
    );
  },
);

t.test(
  "what all are moved by moves the result, and what all are stretched by stretches it",
  async () => {
    fc.assert(
      fc.property(
        round,
        fc.integer({ min: -512, max: 512 }),
        fc.integer({ min: -3, max: 3 }),
        ({ f, given }, shift, power) => {
          const by = (at: number) => shift / 256 + at;
          const factor = 2 ** power;
          for (const { rule, shifts, stretches } of rulesFor(f)) {
            const result = run(rule, given);
            if (stretches) {
              const stretched = run(
                rule,
                changed(given, (value) => factor * value),
              );
              if (bits(stretched).join() !== bits(result.map((value) => factor * value)).join())
                throw new Error(`${rule.name} does not stretch`);
            }
            if (!shifts) continue;
            const shifted = run(
              rule,
              changed(given, (value, at) => value + by(at)),
            );
            // Weiszfeld stops a little earlier or later.
            const tolerance = rule.name === "geometric-median" ? 0.02 : 1e-5;
            for (const [at, value] of result.entries())
              if (Math.abs(shifted[at]! - value - by(at)) > tolerance)
                throw new Error(`${rule.name} does not shift: ${value} to ${shifted[at]}`);
          }
        },
      ),
    );
  },
);

t.test(
  "as many liars as a rule withstands do not get it out of the range of the honest",
  async () => {
    const lie = fc.oneof(
      fc.constantFrom(3e38, -3e38, 0, 1e-38),
      fc.float({ noNaN: true, noDefaultInfinity: true }),
    );
    fc.assert(
      fc.property(round, fc.array(lie, { minLength: 27, maxLength: 27 }), ({ f, given }, lies) => {
        const liars = given.slice(0, f);
        const honest = given.slice(f);
        const attacked = [
          ...liars.map((each, index) => ({
            ...each,
            weight: 2 ** 53,
            values: each.values.map((_, at) => lies[9 * index + at]!),
          })),
          ...honest,
        ];
        for (const rule of [
          new CoordinateMedian(),
          new TrimmedMean({ trim: f }),
          new Bulyan({ byzantine: f }),
        ]) {
          for (const [at, value] of run(rule, attacked).entries()) {
            const column = honest.map(({ values }) => values[at]!);
            if (value < Math.min(...column) - 1e-6 || value > Math.max(...column) + 1e-6)
              throw new Error(`${rule.name}: ${value} is not among ${column.join(" ")}`);
          }
        }
      }),
    );
  },
);

/** Every rule as its paper writes it, in float64, without any care for speed. */
const references: Record<string, (rows: number[][], f: number, weights: number[]) => number[]> = {
  mean: (rows, _f, weights) => {
    const total = weights.reduce((sum, weight) => sum + weight);
    return rows[0]!.map(
      (_, at) => rows.reduce((sum, row, k) => sum + weights[k]! * row[at]!, 0) / total,
    );
  },
  median: (rows) => columns(rows).map(middle),
  "trimmed-mean": (rows, f) =>
    columns(rows).map((column) => meanOf(column.slice(f, column.length - f))),
  krum: (rows, f) => rows[bestByKrum(rows, f)[0]!]!,
  "multi-krum": (rows, f) => {
    const best = bestByKrum(rows, f).slice(0, rows.length - f);
    return columns(best.map((index) => rows[index]!)).map(meanOf);
  },
  bulyan: (rows, f) => {
    const left = [...rows];
    const selected: number[][] = [];
    while (selected.length < rows.length - 2 * f)
      selected.push(...left.splice(bestByKrum(left, f)[0]!, 1));
    return columns(selected).map((column) => {
      const median = middle(column);
      const byDistance = column.sort(
        (a, b) => Math.abs(a - median) - Math.abs(b - median) || a - b,
      );
      return meanOf(byDistance.slice(0, rows.length - 4 * f));
    });
  },
};

const meanOf = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
const columns = (rows: number[][]) =>
  rows[0]!.map((_, at) => rows.map((row) => row[at]!).sort((a, b) => a - b));
const middle = (sorted: number[]) =>
  (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;

function bestByKrum(rows: number[][], f: number): number[] {
  const scores = rows.map((row, self) => {
    const distances = rows.flatMap((other, index) =>
      index === self ? [] : [row.reduce((sum, value, at) => sum + (value - other[at]!) ** 2, 0)],
    );
    return distances
      .sort((a, b) => a - b)
      .slice(0, Math.max(1, rows.length - f - 2))
      .reduce((sum, distance) => sum + distance, 0);
  });
  return [...scores.keys()].sort((a, b) => scores[a]! - scores[b]! || a - b);
}

t.test("each rule gives what its paper says, computed in float64", async () => {
  const registry = new StrategyRegistry();
  fc.assert(
    fc.property(round, ({ f, given }) => {
      const rows = given.map(({ values }) => [...values]);
      // Names sort as texts: s0, s1, s10, s11, s2 …
      const order = [...given.keys()].sort((a, b) => (`s${a}` < `s${b}` ? -1 : 1));
      for (const [kind, reference] of Object.entries(references)) {
        const options = { mean: {}, median: {}, "trimmed-mean": { trim: f } }[kind] ?? {
          byzantine: f,
        };
        const strategy = registry.strategy({ rule: { kind, ...options } });
        const model = new Float32Array(rows[0]!.length);
        const { aggregate } = strategy.step(model, given, strategy.begin(model.length), {
          math: plain,
        });
        const wanted = reference(
          order.map((index) => rows[index]!),
          f,
          order.map((index) => given[index]!.weight),
        );
        for (const [at, value] of aggregate.entries())
          if (Math.abs(value - wanted[at]!) > 1e-6 * Math.max(1, Math.abs(wanted[at]!)))
            throw new Error(`${kind}: ${value} where ${wanted[at]} is right`);
      }
    }),
  );
});

t.test(
  "no other point has a sum of distances that is much less than the geometric median's",
  async () => {
    fc.assert(
      fc.property(
        round,
        fc.array(fc.integer({ min: -100, max: 100 }), { minLength: 9, maxLength: 9 }),
        ({ given }, move) => {
          const sum = (point: Float32Array) =>
            given.reduce(
              (total, { values }) =>
                total + Math.hypot(...values.map((value, at) => value - point[at]!)),
              0,
            );
          const found = run(new GeometricMedian({ iterations: 200, tolerance: 1e-12 }), given);
          for (const scale of [1, 1e-1, 1e-2, 1e-3]) {
            const other = found.map((value, at) => value + (scale * move[at]!) / 100);
            if (sum(other) < sum(found) - 1e-4 * sum(found))
              throw new Error(`${sum(other)} < ${sum(found)}`);
          }
        },
      ),
    );
  },
);
