import {
  BLOCK_LENGTH,
  CHUNK_LENGTH,
  lengthOfRows,
  PRODUCT_CHUNK_LENGTH,
  PRODUCT_SHARE_MAX,
  squaredDistance,
  sumIsExact,
  type VectorBlock,
  type VectorMath,
} from "../../platform/vector-math.ts";
import { minus } from "./minus.ts";

const FLOAT32_LEAST = 2 ** -149;

/** {@link VectorMath} in plain TypeScript, for the simulator and for whoever checks the fast one: the same bits, slower. */
export class PlainVectorMath implements VectorMath {
  readonly name = "plain";
  readonly #valuesMax: number;
  #values = 0;

  /** `bytesMax`: bound on what {@link allocate} gives at one time */
  constructor({ bytesMax = 2 ** 30 }: { readonly bytesMax?: number } = {}) {
    this.#valuesMax = Math.floor(bytesMax / 4);
  }

  allocate(count: number, length: number): VectorBlock {
    const values = count * length;
    if (this.#values + values > this.#valuesMax)
      throw new RangeError(
        `${count} vectors of ${length} values do not fit: ${4 * (this.#valuesMax - this.#values)} bytes of bytesMax are left`,
      );
    this.#values += values;
    let held = values;
    return {
      vectors: Array.from({ length: count }, () => new Float32Array(length)),
      dispose: () => {
        this.#values -= held;
        held = 0;
      },
    };
  }

  firstNotFinite(rows: readonly Float32Array[]): number {
    lengthOfRows(rows);
    return rows.findIndex((row) => {
      for (let at = 0; at < row.length; at++) if (!Number.isFinite(row[at])) return true;
      return false;
    });
  }

  weightedSum(
    rows: readonly Float32Array[],
    factors: readonly number[],
    into: Float32Array = new Float32Array(lengthOfRows(rows)),
  ): Float32Array {
    const length = lengthOfRows(rows);
    if (factors.length !== rows.length)
      throw new RangeError(`${factors.length} factors for ${rows.length} rows`);
    if (into.length !== length)
      throw new RangeError(
        `the result has room for ${into.length} values where rows have ${length}`,
      );
    const sums = new Float64Array(Math.min(length, BLOCK_LENGTH));
    for (let from = 0; from < length; from += BLOCK_LENGTH) {
      const count = Math.min(BLOCK_LENGTH, length - from);
      sums.fill(0);
      for (let index = 0; index < rows.length; index++) {
        const row = rows[index] ?? into;
        const factor = factors[index] ?? 0;
        for (let at = 0; at < count; at++)
          sums[at] = (sums[at] ?? 0) + factor * (row[from + at] ?? 0);
      }
      for (let at = 0; at < count; at++) into[from + at] = rounded(sums[at] ?? 0);
    }
    return into;
  }

  squaredDistances(rows: readonly Float32Array[]): readonly Float64Array[] {
    const length = lengthOfRows(rows);
    const distances = rows.map(() => new Float64Array(rows.length));
    for (let from = 0; from < length; from += BLOCK_LENGTH) {
      const parts = rows.map((row) => row.subarray(from, from + BLOCK_LENGTH));
      const middle = middleOf(parts);
      const moved = parts.map((part) => minus(part, middle));
      const squares = moved.map((part) => productOfBlock(part, part));
      for (const [i, row] of distances.entries())
        for (let j = i + 1; j < rows.length; j++) {
          const [a = middle, b = middle] = [moved[i], moved[j]];
          const both = (squares[i] ?? 0) + (squares[j] ?? 0);
          let distance = both - 2 * productOfBlock(a, b);
          const isSafe = both < Number.POSITIVE_INFINITY && distance * PRODUCT_SHARE_MAX >= both;
          if (!isSafe || distance <= 0)
            distance = distanceOfBlock(parts[i] ?? middle, parts[j] ?? middle);
          row[j] = (row[j] ?? 0) + distance;
        }
    }
    for (const [i, row] of distances.entries())
      for (let j = i + 1; j < rows.length; j++) {
        const [x, y] = [rows[i], rows[j]];
        let total = row[j] ?? 0;
        if (!sumIsExact(total) && x !== undefined && y !== undefined) total = squaredDistance(x, y);
        row[j] = total;
        (distances[j] ?? row)[i] = total;
      }
    return distances;
  }

  squaredDistancesTo(rows: readonly Float32Array[], point: Float32Array): Float64Array {
    lengthOfRows([point, ...rows.slice(0, 1)]);
    lengthOfRows(rows);
    return Float64Array.from(rows, (row) => distanceOf(row, point));
  }

  median(rows: readonly Float32Array[]): Float32Array {
    const below = (rows.length - 1) >> 1;
    const above = rows.length >> 1;
    return eachSorted(rows, (sorted) => ((sorted[below] ?? 0) + (sorted[above] ?? 0)) * 0.5);
  }

  trimmedMean(rows: readonly Float32Array[], trim: number): Float32Array {
    if (!Number.isInteger(trim) || trim < 0 || 2 * trim >= rows.length)
      throw new RangeError(`trimming ${trim} at both ends leaves none of ${rows.length} rows`);
    return eachSorted(rows, (sorted) => {
      let sum = 0;
      for (let rank = trim; rank < sorted.length - trim; rank++) sum += sorted[rank] ?? 0;
      return sum / (sorted.length - 2 * trim);
    });
  }

  meanAroundMedian(rows: readonly Float32Array[], keep: number): Float32Array {
    if (!Number.isInteger(keep) || keep < 1 || keep > rows.length)
      throw new RangeError(`${keep} of ${rows.length} rows can not be kept`);
    const below = (rows.length - 1) >> 1;
    const above = rows.length >> 1;
    return eachSorted(rows, (sorted) => {
      const median = ((sorted[below] ?? 0) + (sorted[above] ?? 0)) * 0.5;
      // The nearest stand side by side; the window moves up while what it gains is nearer than what it loses.
      let first = 0;
      while (
        first + keep < sorted.length &&
        median - (sorted[first] ?? 0) > (sorted[first + keep] ?? 0) - median
      )
        first++;
      let sum = 0;
      for (let rank = first; rank < first + keep; rank++) sum += sorted[rank] ?? 0;
      return sum / keep;
    });
  }

  async dispose(): Promise<void> {}
}

/** Float64 to float32, with +0 for every zero. */
function rounded(value: number): number {
  return Math.fround(value) + 0;
}

/** The sums of blocks, each for itself. */
function distanceOf(x: Float32Array, y: Float32Array): number {
  let total = 0;
  for (let from = 0; from < x.length; from += BLOCK_LENGTH)
    total += distanceOfBlock(
      x.subarray(from, from + BLOCK_LENGTH),
      y.subarray(from, from + BLOCK_LENGTH),
    );
  return sumIsExact(total) ? total : squaredDistance(x, y);
}

/**
 * The sums of chunks, each in four lanes of float32: just as four lanes of a processor do it.
 * @returns the least float32 where squares of differences vanished, so that only equal rows are at zero
 */
function distanceOfBlock(x: Float32Array, y: Float32Array): number {
  const { fround } = Math;
  let block = 0;
  let most = 0;
  for (let chunk = 0; chunk < x.length; chunk += CHUNK_LENGTH) {
    const end = Math.min(chunk + CHUNK_LENGTH, x.length);
    let [a, b, c, d] = [0, 0, 0, 0];
    for (let at = chunk; at < end; at += 4) {
      // Beyond the end both are taken for zero, which adds nothing.
      const da = fround((x[at] ?? 0) - (y[at] ?? 0));
      a = fround(a + fround(da * da));
      const db = fround((x[at + 1] ?? 0) - (y[at + 1] ?? 0));
      b = fround(b + fround(db * db));
      const dc = fround((x[at + 2] ?? 0) - (y[at + 2] ?? 0));
      c = fround(c + fround(dc * dc));
      const dd = fround((x[at + 3] ?? 0) - (y[at + 3] ?? 0));
      d = fround(d + fround(dd * dd));
      most = Math.max(most, Math.abs(da), Math.abs(db), Math.abs(dc), Math.abs(dd));
    }
    block += a + c + (b + d);
  }
  return block === 0 && most > 0 ? FLOAT32_LEAST : block;
}

/** Σ x y of one block, in chunks of four lanes as {@link distanceOfBlock}; lanes are added in float32. */
function productOfBlock(x: Float32Array, y: Float32Array): number {
  const { fround } = Math;
  let block = 0;
  for (let chunk = 0; chunk < x.length; chunk += PRODUCT_CHUNK_LENGTH) {
    const end = Math.min(chunk + PRODUCT_CHUNK_LENGTH, x.length);
    let [a, b, c, d] = [0, 0, 0, 0];
    for (let at = chunk; at < end; at += 4) {
      a = fround(a + fround((x[at] ?? 0) * (y[at] ?? 0)));
      b = fround(b + fround((x[at + 1] ?? 0) * (y[at + 1] ?? 0)));
      c = fround(c + fround((x[at + 2] ?? 0) * (y[at + 2] ?? 0)));
      d = fround(d + fround((x[at + 3] ?? 0) * (y[at + 3] ?? 0)));
    }
    block += fround(fround(a + c) + fround(b + d));
  }
  return block;
}

/** The median of the medians of three times three rows (Tukey's ninther): a few liars do not move it far. */
function middleOf(rows: readonly Float32Array[]): Float32Array {
  const middle = new Float32Array(lengthOfRows(rows));
  const ninth = (index: number): Float32Array =>
    rows[Math.floor((index * rows.length) / 9)] ?? middle;
  const [a, b, c, d, e] = [ninth(0), ninth(1), ninth(2), ninth(3), ninth(4)];
  const [f, g, h, i] = [ninth(5), ninth(6), ninth(7), ninth(8)];
  for (let at = 0; at < middle.length; at++)
    middle[at] = medianOfThree(
      medianOfThree(a[at] ?? 0, b[at] ?? 0, c[at] ?? 0),
      medianOfThree(d[at] ?? 0, e[at] ?? 0, f[at] ?? 0),
      medianOfThree(g[at] ?? 0, h[at] ?? 0, i[at] ?? 0),
    );
  return middle;
}

/** As the processor's minimum and maximum have it for NaN. */
function medianOfThree(a: number, b: number, c: number): number {
  const least = b < a ? b : a;
  const most = a < b ? b : a;
  const upper = c < most ? c : most;
  return least < upper ? upper : least;
}

/**
 * Calls `combine` with the sorted values of each coordinate. They are sorted as integers whose order is that of the numbers
 * with -0 before +0, so that the order is total.
 */
function eachSorted(
  rows: readonly Float32Array[],
  combine: (sorted: Float32Array) => number,
): Float32Array {
  const length = lengthOfRows(rows);
  const result = new Float32Array(length);
  const sorted = new Float32Array(rows.length);
  const bits = new Int32Array(sorted.buffer);
  for (let at = 0; at < length; at++) {
    for (let index = 0; index < rows.length; index++) sorted[index] = rows[index]?.[at] ?? 0;
    for (let index = 0; index < bits.length; index++) bits[index] = ordered(bits[index] ?? 0);
    sort(bits);
    for (let index = 0; index < bits.length; index++) bits[index] = ordered(bits[index] ?? 0);
    result[at] = rounded(combine(sorted));
  }
  return result;
}

/** The bits of a float32 as an integer of the same order, and back. */
function ordered(bits: number): number {
  return bits ^ ((bits >> 31) >>> 1);
}

/** By insertion as long as that is faster than a call. */
function sort(values: Int32Array): void {
  if (values.length > 64) {
    values.sort();
    return;
  }
  for (let index = 1; index < values.length; index++) {
    const value = values[index] ?? 0;
    let at = index - 1;
    for (; at >= 0 && (values[at] ?? 0) > value; at--) values[at + 1] = values[at] ?? 0;
    values[at + 1] = value;
  }
}
