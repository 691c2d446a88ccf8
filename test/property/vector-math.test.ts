import * as fc from "fast-check";
import t from "tap";
import { PlainVectorMath } from "../../src/federated/strategies/plain-vector-math.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { SimdVectorMath } from "../../src/platform/simd/vector-math-simd.ts";

const RUNS = 300;
const seed = Number(process.env["FC_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`fast-check seed ${seed} (FC_SEED=${seed} repeats it)`);

/** Rows in groups that lie around a point of their own, as far apart and as wide as liars or float32 may have it. */
interface Shape {
  readonly seed: number;
  readonly length: number;
  readonly groups: readonly {
    readonly members: number;
    readonly away: number;
    readonly wide: number;
  }[];
  /** Share of values that are zero in all rows, as of layers that do not learn. */
  readonly frozen: number;
  /** Share of values that are as large or as small as float32 has them. */
  readonly odd: number;
}

const magnitude = fc.constantFrom(
  0,
  1e-44,
  1e-38,
  1e-22,
  1e-19,
  1e-12,
  1e-6,
  1,
  1e6,
  1e18,
  2e19,
  1e38,
);

const shapes: fc.Arbitrary<Shape> = fc.record({
  seed: fc.nat(),
  length: fc.oneof(fc.integer({ min: 1, max: 140 }), fc.integer({ min: 2_000, max: 4_200 })),
  groups: fc.array(
    fc.record({ members: fc.integer({ min: 1, max: 7 }), away: magnitude, wide: magnitude }),
    { minLength: 1, maxLength: 3 },
  ),
  frozen: fc.constantFrom(0, 0, 0.6, 0.99),
  odd: fc.constantFrom(0, 0, 0.01),
});

function rowsOf({ seed, length, groups, frozen, odd }: Shape): Float32Array[] {
  const random = new SeededRandom(`property/vector-math/${seed}`);
  const bound = (value: number) => Math.min(Math.max(value, -3e38), 3e38);
  const still = Array.from({ length }, (_, at) => at < frozen * length);
  const rows = groups.flatMap(({ members, away, wide }) => {
    const point = Float64Array.from({ length }, () => away * (2 * random.next() - 1));
    return Array.from({ length: members }, () =>
      Float32Array.from(point, (value, at) => {
        if (still[at]!) return 0;
        if (odd > 0 && random.next() < odd) return random.next() < 0.5 ? 3e38 : -1e-45;
        return bound(value + wide * (2 * random.next() - 1));
      }),
    );
  });
  for (let at = rows.length - 1; at > 0; at--) {
    const other = Math.floor(random.next() * (at + 1));
    [rows[at], rows[other]] = [rows[other]!, rows[at]!];
  }
  return rows;
}

function exact(x: Float32Array, y: Float32Array): number {
  return x.reduce((sum, value, at) => sum + (value - y[at]!) ** 2, 0);
}

function isNear(found: number, wanted: number): boolean {
  return wanted === 0 ? found === 0 : Math.abs(found - wanted) <= 4e-6 * wanted;
}

t.test(
  "distances: the same bits plain and fast, and as exact as promised, whatever the rows are",
  async (t) => {
    const plain = new PlainVectorMath();
    const fast = [1, 2].map((threads) => new SimdVectorMath({ threads }));
    t.teardown(() => Promise.all(fast.map((math) => math.dispose())));
    fc.assert(
      fc.property(shapes, (shape) => {
        const rows = rowsOf(shape);
        const wanted = plain.squaredDistances(rows);
        const to = plain.squaredDistancesTo(rows, rows[0]!);
        for (const math of fast) {
          const found = math.squaredDistances(rows);
          if (found.some((row, i) => row.some((value, j) => !Object.is(value, wanted[i]![j]))))
            throw new Error(`${math.name}: other distances than the plain one`);
          if (math.squaredDistancesTo(rows, rows[0]!).some((value, i) => !Object.is(value, to[i])))
            throw new Error(`${math.name}: other distances to a point than the plain one`);
        }
        for (const [i, x] of rows.entries()) {
          const from = exact(x, rows[0]!);
          if (!isNear(to[i]!, from)) throw new Error(`to ${i}: ${to[i]} for ${from}`);
          for (const [j, y] of rows.entries()) {
            const distance = exact(x, y);
            if (!isNear(wanted[i]![j]!, distance))
              throw new Error(`${i} ${j}: ${wanted[i]![j]} for ${distance}`);
          }
        }
      }),
      { seed, numRuns: RUNS },
    );
  },
);

t.test("weighted sums: the same bits plain and fast for any number of rows", async (t) => {
  const plain = new PlainVectorMath();
  const fast = new SimdVectorMath({ threads: 2 });
  t.teardown(() => fast.dispose());
  for (let count = 1; count <= 34; count++) {
    const length = 16_384 + 7 * count;
    const random = new SeededRandom(`property/weighted-sum/${count}`);
    const block = fast.allocate(count, length);
    const { vectors } = block;
    for (const vector of vectors)
      for (let at = 0; at < length; at++) vector[at] = 2 * random.next() - 1;
    const factors = vectors.map(() => random.next());
    const wanted = plain.weightedSum(vectors, factors);
    const found = fast.weightedSum(vectors, factors);
    t.ok(Buffer.from(found.buffer).equals(Buffer.from(wanted.buffer)), `${count} rows`);
    block.dispose();
  }
});
