import { job } from "./job";
import { promoteHigh, rounded } from "./lanes";

/** Coordinates that are sorted side by side: a line of the cache for each row. */
const GROUP: i32 = 16;

/**
 * Float32 bits as integers in the order of the numbers, -0 before +0, and back: the order of signed integers is the same
 * but for negative numbers, whose magnitude runs the other way. Integers have a minimum in one instruction everywhere.
 */
// @ts-ignore: decorator
@inline
function ordered(bits: v128): v128 {
  return v128.xor(bits, i32x4.shr_u(i32x4.shr_s(bits, 31), 1));
}

/** Brings 16 coordinates of all rows into `scratch` and sends them through the comparators. */
function sortGroup(at: usize, scratch: usize): void {
  const rows = job.rows();
  let to = scratch;
  for (let row = 0; row < rows; row++) {
    const x = job.row(row) + at;
    v128.store(to, ordered(v128.load(x)));
    v128.store(to, ordered(v128.load(x, 16)), 16);
    v128.store(to, ordered(v128.load(x, 32)), 32);
    v128.store(to, ordered(v128.load(x, 48)), 48);
    to += 64;
  }
  let comparator = job.network();
  const end = comparator + (<usize>job.comparators() << 2);
  for (; comparator < end; comparator += 4) {
    const pair = load<u32>(comparator);
    const low = scratch + (<usize>(pair >> 16) << 6);
    const high = scratch + (<usize>(pair & 0xffff) << 6);
    const a0 = v128.load(low), b0 = v128.load(high);
    const a1 = v128.load(low, 16), b1 = v128.load(high, 16);
    const a2 = v128.load(low, 32), b2 = v128.load(high, 32);
    const a3 = v128.load(low, 48), b3 = v128.load(high, 48);
    v128.store(low, i32x4.min_s(a0, b0));
    v128.store(high, i32x4.max_s(a0, b0));
    v128.store(low, i32x4.min_s(a1, b1), 16);
    v128.store(high, i32x4.max_s(a1, b1), 16);
    v128.store(low, i32x4.min_s(a2, b2), 32);
    v128.store(high, i32x4.max_s(a2, b2), 32);
    v128.store(low, i32x4.min_s(a3, b3), 48);
    v128.store(high, i32x4.max_s(a3, b3), 48);
  }
}

/** Reads up to 60 bytes beyond the end of rows and writes as many beyond the result's. */
export function median(from: usize, length: i32, scratch: usize): void {
  const rows = job.rows();
  const above = scratch + (<usize>(rows >> 1) << 6);
  const below = scratch + (<usize>((rows - 1) >> 1) << 6);
  const half = f64x2.splat(0.5);
  for (let group = 0; group < length; group += GROUP) {
    const at = (from + group) << 2;
    sortGroup(at, scratch);
    for (let offset: usize = 0; offset < 64; offset += 16) {
      const a = ordered(v128.load(below + offset));
      const b = ordered(v128.load(above + offset));
      v128.store(
        job.result() + at + offset,
        rounded(
          f64x2.mul(f64x2.add(f64x2.promote_low_f32x4(a), f64x2.promote_low_f32x4(b)), half),
          f64x2.mul(f64x2.add(promoteHigh(a), promoteHigh(b)), half),
        ),
      );
    }
  }
}

/** Of each coordinate the mean of what is left between the `count` least and the `count` greatest, summed upwards. */
export function trimmedMean(from: usize, length: i32, scratch: usize): void {
  const rows = job.rows();
  const first = job.count();
  const last = rows - first;
  const divisor = f64x2.splat(<f64>(last - first));
  for (let group = 0; group < length; group += GROUP) {
    const at = (from + group) << 2;
    sortGroup(at, scratch);
    for (let offset: usize = 0; offset < 64; offset += 16) {
      let low = f64x2.splat(0);
      let high = f64x2.splat(0);
      for (let row = first; row < last; row++) {
        const values = ordered(v128.load(scratch + (<usize>row << 6) + offset));
        low = f64x2.add(low, f64x2.promote_low_f32x4(values));
        high = f64x2.add(high, promoteHigh(values));
      }
      v128.store(job.result() + at + offset, rounded(f64x2.div(low, divisor), f64x2.div(high, divisor)));
    }
  }
}

/** Of each coordinate the mean of the `count` values nearest to the median. */
export function meanAroundMedian(from: usize, length: i32, scratch: usize): void {
  const rows = job.rows();
  for (let group = 0; group < length; group += GROUP) {
    const at = (from + group) << 2;
    sortGroup(at, scratch);
    const end = scratch + (<usize>rows << 6);
    for (let vector = scratch; vector < end; vector += 16) v128.store(vector, ordered(v128.load(vector)));
    for (let offset: usize = 0; offset < 64; offset += 16)
      v128.store(
        job.result() + at + offset,
        rounded(window(scratch + offset, rows), window(scratch + offset + 8, rows)),
      );
  }
}

// @ts-ignore: decorator
@inline
function valueAt(column: usize, row: i32): v128 {
  return f64x2.promote_low_f32x4(v128.load64_zero(column + (<usize>row << 6)));
}

/**
 * Among sorted values the nearest to the median stand side by side. The window of `count` begins at the least and moves up as
 * long as what it loses is farther from the median than what it gains: each lane counts its moves, none branches.
 */
function window(column: usize, rows: i32): v128 {
  const keep = job.count();
  const one = f64x2.splat(1);
  const width = f64x2.splat(<f64>keep);
  const median = f64x2.mul(
    f64x2.add(valueAt(column, (rows - 1) >> 1), valueAt(column, rows >> 1)),
    f64x2.splat(0.5),
  );
  let first = f64x2.splat(0);
  for (let row = 0; row + keep < rows; row++) {
    const loses = f64x2.sub(median, valueAt(column, row));
    const gains = f64x2.sub(valueAt(column, row + keep), median);
    first = f64x2.add(first, v128.and(f64x2.gt(loses, gains), one));
  }
  const last = f64x2.add(first, width);
  let sum = f64x2.splat(0);
  for (let row = 0; row < rows; row++) {
    const rank = f64x2.splat(<f64>row);
    const inside = v128.and(f64x2.le(first, rank), f64x2.lt(rank, last));
    sum = f64x2.add(sum, v128.and(inside, valueAt(column, row)));
  }
  return f64x2.div(sum, width);
}
