import type { Test } from "tap";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { ROWS_MAX, type VectorMath } from "../../src/platform/vector-math.ts";

/** Rows of numbers as they come, and of numbers that are awkward: zeros of both signs, equal ones, tiny and huge ones. */
export function rowsOf(count: number, length: number, seed: string): Float32Array[] {
  const random = new SeededRandom(`vector-math/${seed}/${count}/${length}`);
  const odd = [0, -0, 1, -1, 1e-42, -1e-42, 3.4e38, -3.4e38, 1e-20, 7e18];
  return Array.from({ length: count }, () =>
    Float32Array.from({ length }, () =>
      random.next() < 0.1 ? odd[Math.floor(random.next() * odd.length)]! : 2 * random.next() - 1,
    ),
  );
}

/** As updates of one round are: numbers around a common direction, the last two of them nearly the same. */
export function updatesOf(count: number, length: number, seed: string): Float32Array[] {
  const random = new SeededRandom(`vector-math/updates/${seed}/${count}/${length}`);
  const direction = Float32Array.from({ length }, () => random.next() - 0.5);
  const rows = Array.from({ length: count }, () =>
    direction.map((value) => value + random.next() - 0.5),
  );
  const [last, twin] = [rows.at(-1), rows.at(-2)];
  if (last !== undefined && twin !== undefined)
    last.set(twin.map((value) => value + 1e-3 * (random.next() - 0.5)));
  return rows;
}

/** What a user of the seam relies on, each value beside a plain computation in float64. */
export function vectorMathConformance(t: Test, name: string, make: () => VectorMath): void {
  t.test(`${name}: vector math`, async (t) => {
    const math = make();
    t.teardown(() => math.dispose());
    const random = new SeededRandom("conformance");
    const rows = Array.from({ length: 7 }, () =>
      Float32Array.from({ length: 2_100 }, () => 2 * random.next() - 1),
    );
    const column = (at: number) => rows.map((row) => row[at]!).sort((a, b) => a - b);
    const near = (t: Test, found: Float32Array, wanted: (at: number) => number) => {
      const worst = found.reduce(
        (most, value, at) => Math.max(most, Math.abs(value - wanted(at))),
        0,
      );
      t.equal(found.length, rows[0]!.length);
      t.ok(worst <= 1e-7, `off by ${worst}`);
    };

    t.test("a weighted sum, also into a vector of the caller's", async (t) => {
      const factors = [0.5, -1, 0.25, 0, 2, 1e-3, 1];
      const wanted = (at: number) =>
        Math.fround(factors.reduce((sum, factor, row) => sum + factor * rows[row]![at]!, 0));
      near(t, math.weightedSum(rows, factors), wanted);
      const into = rows[0]!.slice();
      t.equal(math.weightedSum([into, ...rows.slice(1)], factors, into), into);
      near(t, into, wanted);
    });

    t.test("distances between all, and to one point", async (t) => {
      const distance = (x: Float32Array, y: Float32Array) =>
        x.reduce((sum, value, at) => sum + (value - y[at]!) ** 2, 0);
      const found = math.squaredDistances(rows);
      for (const [i, x] of rows.entries())
        for (const [j, y] of rows.entries()) {
          const wanted = distance(x, y);
          if (Math.abs(found[i]![j]! - wanted) > 4e-6 * wanted)
            t.fail(`${i} ${j}: ${found[i]![j]}`);
        }
      const to = math.squaredDistancesTo(rows, rows[2]!);
      for (const [i, value] of to.entries())
        t.ok(Math.abs(value - distance(rows[i]!, rows[2]!)) <= 4e-6 * value, `to ${i}: ${value}`);
      t.equal(to[2], 0);
    });

    t.test("models that are almost equal keep their distance", async (t) => {
      const base = Float32Array.from({ length: 50_000 }, () => 2 * random.next() - 1);
      const moved = base.map((value) => value + 1e-6 * (random.next() - 0.5));
      const wanted = base.reduce((sum, value, at) => sum + (value - moved[at]!) ** 2, 0);
      const [, found] = math.squaredDistancesTo([base, moved], base);
      t.ok(Math.abs(found! / wanted - 1) < 4e-6, `${found} for ${wanted}`);
      const far = rows.map(({ length }) => Float32Array.from({ length }, () => 9 * random.next()));
      const pieces = [base, moved].map((row) => row.subarray(0, far[0]!.length));
      const part = pieces[0]!.reduce((sum, x, at) => sum + (x - pieces[1]![at]!) ** 2, 0);
      const [among] = math.squaredDistances([...pieces, ...far]);
      t.ok(Math.abs(among![1]! / part - 1) < 4e-6, `${among![1]} for ${part} among others`);
    });

    t.test("only equal models are at zero", async (t) => {
      const zeros = new Float32Array(3_000);
      const tiny = zeros.slice();
      tiny[2_999] = 1e-45;
      const tinier = zeros.map(() => 3e-30);
      const found = math.squaredDistances([zeros, tiny, zeros.slice(), tinier, tiny.slice()]);
      t.same([...found[0]!].slice(0, 3), [0, Math.fround(1e-45) ** 2, 0]);
      t.equal(found[1]![4], 0);
      t.ok(Math.abs(found[0]![3]! / (3_000 * Math.fround(3e-30) ** 2) - 1) < 4e-6);
      const to = math.squaredDistancesTo([zeros, tiny, tinier], zeros);
      t.same([...to].slice(0, 2), [0, Math.fround(1e-45) ** 2]);
      t.ok(Math.abs(to[2]! / (3_000 * Math.fround(3e-30) ** 2) - 1) < 4e-6);
    });

    t.test("distances beyond float32 are still numbers", async (t) => {
      const far = [Float32Array.of(3e38, 0), Float32Array.of(-3e38, 1)];
      const wanted = (2 * Math.fround(3e38)) ** 2;
      t.ok(Math.abs(math.squaredDistances(far)[0]![1]! / wanted - 1) < 1e-12);
      t.ok(Math.abs(math.squaredDistancesTo(far, far[0]!)[1]! / wanted - 1) < 1e-12);
    });

    t.test("median, trimmed mean, mean around the median", async (t) => {
      near(t, math.median(rows), (at) => column(at)[3]!);
      const six = rows.slice(0, 6);
      const middle = math.median(six);
      const sorted = six.map((row) => row[5]!).sort((a, b) => a - b);
      t.equal(middle[5], Math.fround((sorted[2]! + sorted[3]!) / 2));
      const mean = (values: number[]) => values.reduce((sum, value) => sum + value) / values.length;
      near(t, math.trimmedMean(rows, 2), (at) => mean(column(at).slice(2, 5)));
      near(t, math.trimmedMean(rows, 0), (at) => mean(column(at)));
      near(t, math.meanAroundMedian(rows, 4), (at) => {
        const median = column(at)[3]!;
        const nearest = column(at).sort((a, b) => Math.abs(a - median) - Math.abs(b - median));
        return mean(nearest.slice(0, 4));
      });
      const tied = [-1, 0, 1].map((value) => Float32Array.of(value));
      t.equal(math.meanAroundMedian(tied, 2)[0], -0.5, "the smaller one of two as near");
    });

    t.test("one row is what it is", async (t) => {
      const one = [Float32Array.of(-0, 2, -3)];
      for (const result of [
        math.median(one),
        math.trimmedMean(one, 0),
        math.meanAroundMedian(one, 1),
        math.weightedSum(one, [1]),
      ])
        t.ok(Object.is(result[0], 0) && result[1] === 2 && result[2] === -3, "with +0 for -0");
    });

    t.test("finds the first row that is not finite", async (t) => {
      t.equal(math.firstNotFinite(rows), -1);
      for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
        for (const at of [0, 6, 2_047, 2_048, 2_099]) {
          const spoilt = rows.map((row) => row.slice());
          spoilt[4]![at] = bad;
          spoilt[5]![0] = bad;
          t.equal(math.firstNotFinite(spoilt), 4, `${bad} at ${at}`);
        }
    });

    t.test("room for vectors, and its bound", async (t) => {
      const block = math.allocate(3, 100);
      t.same(
        block.vectors.map((vector) => [vector.length, vector.every((value) => value === 0)]),
        Array.from({ length: 3 }, () => [100, true]),
      );
      block.vectors[1]!.fill(6);
      t.same(
        [...math.weightedSum(block.vectors, [1, 0.5, 1])],
        Array.from({ length: 100 }, () => 3),
      );
      block.dispose();
      block.dispose();
      t.throws(() => math.allocate(1_000, 10_000_000), { name: "RangeError", message: /bytesMax/ });
      for (let round = 0; round < 100; round++) {
        const again = [math.allocate(7, 40_000), math.allocate(1, 9), math.allocate(7, 30_000)];
        t.ok(again[0]!.vectors[6]![0] === 0);
        again[0]!.vectors[6]!.fill(round);
        for (const each of round % 2 === 0 ? again : again.reverse()) each.dispose();
      }
    });

    t.test("refuses what does not fit together", async (t) => {
      const fails = (call: () => unknown, message: RegExp) =>
        t.throws(call, { name: "RangeError", message });
      fails(() => math.median([]), /no rows/);
      fails(() => math.squaredDistances([rows[0]!, rows[1]!.subarray(1)]), /row 1 has 2099 values/);
      fails(() => math.squaredDistancesTo(rows, rows[0]!.subarray(1)), /values/);
      fails(() => math.weightedSum(rows, [1]), /1 factors for 7 rows/);
      fails(
        () =>
          math.weightedSum(
            rows,
            rows.map(() => 1),
            new Float32Array(3),
          ),
        /room for 3/,
      );
      fails(() => math.trimmedMean(rows, 4), /leaves none/);
      fails(() => math.trimmedMean(rows, 0.5), /leaves none/);
      fails(() => math.meanAroundMedian(rows, 0), /can not be kept/);
      fails(() => math.meanAroundMedian(rows, 8), /can not be kept/);
      const many = Array.from({ length: ROWS_MAX + 1 }, () => new Float32Array(1));
      fails(() => math.median(many), /ROWS_MAX/);
    });
  });
}
