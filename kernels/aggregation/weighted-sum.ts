import { job } from "./job";
import { promoteHigh, rounded } from "./lanes";

/**
 * Rows are added in their order, ten in one pass, since the processor fetches ahead for many at once; the sums of a block stay in
 * the cache while all rows pass. Reads and writes up to 12 bytes beyond the end.
 */
export function weightedSum(from: usize, length: i32, scratch: usize): void {
  const rows = job.rows();
  const vectors = (length + 3) >> 2;
  const at = from << 2;
  const end = scratch + (<usize>vectors << 5);
  memory.fill(scratch, 0, <usize>vectors << 5);
  let row = 0;
  for (; row + 10 <= rows; row += 10) addTen(row, at, scratch, end);
  for (; row + 4 <= rows; row += 4) addFour(row, at, scratch, end);
  for (; row < rows; row++) addOne(row, at, scratch, end);
  let to = job.result() + at;
  for (let sum = scratch; sum < end; sum += 32) {
    v128.store(to, rounded(v128.load(sum), v128.load(sum, 16)));
    to += 16;
  }
}

// @ts-ignore: decorator
@inline
function factorOf(row: i32): v128 {
  return f64x2.splat(load<f64>(job.factors() + (<usize>row << 3)));
}

/** The first two float32 of `x`, times a factor, on top of a sum. */
// @ts-ignore: decorator
@inline
function addTwo(sum: v128, factor: v128, x: v128): v128 {
  return f64x2.add(sum, f64x2.mul(factor, f64x2.promote_low_f32x4(x)));
}

function addTen(row: i32, at: usize, sum: usize, end: usize): void {
  const fa = factorOf(row), fb = factorOf(row + 1), fc = factorOf(row + 2), fd = factorOf(row + 3);
  const fe = factorOf(row + 4), ff = factorOf(row + 5), fg = factorOf(row + 6), fh = factorOf(row + 7);
  const fi = factorOf(row + 8), fj = factorOf(row + 9);
  let a = job.row(row) + at, b = job.row(row + 1) + at, c = job.row(row + 2) + at;
  let d = job.row(row + 3) + at, e = job.row(row + 4) + at, f = job.row(row + 5) + at;
  let g = job.row(row + 6) + at, h = job.row(row + 7) + at, i = job.row(row + 8) + at;
  let j = job.row(row + 9) + at;
  for (; sum < end; sum += 32) {
    let low = v128.load(sum);
    let high = v128.load(sum, 16);
    low = addTwo(low, fa, v128.load64_zero(a));
    high = addTwo(high, fa, v128.load64_zero(a, 8));
    low = addTwo(low, fb, v128.load64_zero(b));
    high = addTwo(high, fb, v128.load64_zero(b, 8));
    low = addTwo(low, fc, v128.load64_zero(c));
    high = addTwo(high, fc, v128.load64_zero(c, 8));
    low = addTwo(low, fd, v128.load64_zero(d));
    high = addTwo(high, fd, v128.load64_zero(d, 8));
    low = addTwo(low, fe, v128.load64_zero(e));
    high = addTwo(high, fe, v128.load64_zero(e, 8));
    low = addTwo(low, ff, v128.load64_zero(f));
    high = addTwo(high, ff, v128.load64_zero(f, 8));
    low = addTwo(low, fg, v128.load64_zero(g));
    high = addTwo(high, fg, v128.load64_zero(g, 8));
    low = addTwo(low, fh, v128.load64_zero(h));
    high = addTwo(high, fh, v128.load64_zero(h, 8));
    low = addTwo(low, fi, v128.load64_zero(i));
    high = addTwo(high, fi, v128.load64_zero(i, 8));
    low = addTwo(low, fj, v128.load64_zero(j));
    high = addTwo(high, fj, v128.load64_zero(j, 8));
    v128.store(sum, low);
    v128.store(sum, high, 16);
    a += 16; b += 16; c += 16; d += 16; e += 16; f += 16; g += 16; h += 16; i += 16; j += 16;
  }
}

function addFour(row: i32, at: usize, sum: usize, end: usize): void {
  const fa = factorOf(row), fb = factorOf(row + 1), fc = factorOf(row + 2), fd = factorOf(row + 3);
  let a = job.row(row) + at, b = job.row(row + 1) + at, c = job.row(row + 2) + at;
  let d = job.row(row + 3) + at;
  for (; sum < end; sum += 32) {
    let low = v128.load(sum);
    let high = v128.load(sum, 16);
    low = addTwo(low, fa, v128.load64_zero(a));
    high = addTwo(high, fa, v128.load64_zero(a, 8));
    low = addTwo(low, fb, v128.load64_zero(b));
    high = addTwo(high, fb, v128.load64_zero(b, 8));
    low = addTwo(low, fc, v128.load64_zero(c));
    high = addTwo(high, fc, v128.load64_zero(c, 8));
    low = addTwo(low, fd, v128.load64_zero(d));
    high = addTwo(high, fd, v128.load64_zero(d, 8));
    v128.store(sum, low);
    v128.store(sum, high, 16);
    a += 16; b += 16; c += 16; d += 16;
  }
}

function addOne(row: i32, at: usize, sum: usize, end: usize): void {
  const factor = factorOf(row);
  let x = job.row(row) + at;
  for (; sum < end; sum += 32) {
    const values = v128.load(x);
    v128.store(sum, f64x2.add(v128.load(sum), f64x2.mul(factor, f64x2.promote_low_f32x4(values))));
    v128.store(sum, f64x2.add(v128.load(sum, 16), f64x2.mul(factor, promoteHigh(values))), 16);
    x += 16;
  }
}
