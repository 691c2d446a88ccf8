import { createHash } from "node:crypto";
import t from "tap";
import { PlainVectorMath } from "../../src/federated/strategies/plain-vector-math.ts";
import { SimdVectorMath } from "../../src/platform/simd/vector-math-simd.ts";
import type { VectorMath } from "../../src/platform/vector-math.ts";
import { rowsOf, updatesOf, vectorMathConformance } from "./vector-math.ts";

vectorMathConformance(t, "PlainVectorMath", () => new PlainVectorMath());
vectorMathConformance(t, "SimdVectorMath", () => new SimdVectorMath());
vectorMathConformance(t, "SimdVectorMath with 3 threads", () => new SimdVectorMath({ threads: 3 }));

/** Everything that there is to compute over some rows, as one digest. */
function digest(math: VectorMath, rows: readonly Float32Array[]): string {
  const hash = createHash("sha256");
  const add = (values: Float32Array | Float64Array) =>
    hash.update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  const factors = rows.map((_, index) => (index + 1) / 7);
  add(math.weightedSum(rows, factors));
  for (const row of math.squaredDistances(rows)) add(row);
  add(math.squaredDistancesTo(rows, rows[rows.length >> 1]!));
  add(math.median(rows));
  for (let trim = 0; 2 * trim < rows.length; trim += Math.ceil(rows.length / 5))
    add(math.trimmedMean(rows, trim));
  for (let keep = 1; keep <= rows.length; keep += Math.ceil(rows.length / 5))
    add(math.meanAroundMedian(rows, keep));
  return hash.digest("hex");
}

t.test("the same bits from all, with any number of threads, wherever the rows are", async (t) => {
  const plain = new PlainVectorMath();
  const fast = [1, 2, 4].map((threads) => new SimdVectorMath({ threads }));
  t.teardown(() => Promise.all(fast.map((math) => math.dispose())));
  const shapes = [
    ...[1, 2, 3, 4, 5, 6, 7, 8, 9].map((count) => [count, 13 + count] as const),
    ...[1, 2, 3, 4, 15, 16, 17, 127, 128, 129, 2_047, 2_048, 2_049].map(
      (length) => [5, length] as const,
    ),
    ...[10, 20, 31, 32, 33, 50, 64, 65, 100].map((count) => [count, 4_099] as const),
    [1_024, 33] as const,
    [13, 30_001] as const,
  ];
  const updates = [[50, 4_099] as const, [1_024, 33] as const, [13, 30_001] as const];
  for (const [count, length, made] of [
    ...shapes.map((shape) => [...shape, rowsOf] as const),
    ...updates.map((shape) => [...shape, updatesOf] as const),
  ]) {
    const rows = made(count, length, "bits");
    const wanted = digest(plain, rows);
    for (const math of fast) {
      t.equal(digest(math, rows), wanted, `${count} × ${length}: ${math.name}, elsewhere`);
      const block = math.allocate(count, length + 3);
      // Not where a line of the cache begins, and some of the rows elsewhere.
      const inPlace = block.vectors.map((vector, index) => {
        if (index % 3 === 2) return rows[index]!;
        const part = vector.subarray(3);
        part.set(rows[index]!);
        return part;
      });
      t.equal(digest(math, inPlace), wanted, `${count} × ${length}: ${math.name}, in place`);
      block.dispose();
    }
  }
});

t.test("the same bits as ever, on every processor", async (t) => {
  const plain = new PlainVectorMath();
  const fast = new SimdVectorMath({ threads: 2 });
  t.teardown(() => fast.dispose());
  for (const [made, count, length, wanted] of [
    [rowsOf, 11, 5_003, "bb6273a37c66a8e2c5057d77ddab5ad1d5102bf51a591f6c733f1b3ffb6b165b"],
    [rowsOf, 50, 2_500, "807a873c137528c626a263780771510562fa972c8e2f0825b5793650845dfbb2"],
    [updatesOf, 11, 5_003, "390188e971545a8f29971ec8d5ff07da26c02930fe2f213d3e18ecad370d98eb"],
    [updatesOf, 50, 2_500, "20177ebe679e905d04195123c17d8978610bb177f8275816500d7ebd86c1635b"],
  ] as const) {
    const rows = made(count, length, "pinned");
    t.equal(digest(plain, rows), wanted);
    t.equal(digest(fast, rows), wanted);
  }
});

t.test("options out of range are refused by name", async (t) => {
  for (const threads of [0, 17, 1.5, Number.NaN])
    t.throws(() => new SimdVectorMath({ threads }), { message: /threads is .* from 1 to 16/ });
  for (const bytesMax of [-1, 2e9, Number.NaN])
    t.throws(() => new SimdVectorMath({ bytesMax }), { message: /bytesMax/ });
});
