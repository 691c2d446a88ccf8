import { job } from "./job";
import { promoteHigh, rounded } from "./lanes";

/**
 * Rows are added in their order, four in one pass; the sums of a block, 16 KiB, stay in the first cache while all rows pass. Reads
 * and writes up to 12 bytes beyond the end.
 */
export function weightedSum(from: usize, length: i32, scratch: usize): void {
  const rows = job.rows();
  const vectors = (length + 3) >> 2;
  const at = from << 2;
  memory.fill(scratch, 0, <usize>vectors << 5);
  let row = 0;
  for (; row + 4 <= rows; row += 4) addFour(row, at, vectors, scratch);
  for (; row < rows; row++) addOne(row, at, vectors, scratch);
  let to = job.result() + at;
  for (let vector = 0; vector < vectors; vector++) {
    const sum = scratch + (<usize>vector << 5);
    v128.store(to, rounded(v128.load(sum), v128.load(sum, 16)));
    to += 16;
  }
}

// @ts-ignore: decorator
@inline
function factorOf(row: i32): v128 {
  return f64x2.splat(load<f64>(job.factors() + (<usize>row << 3)));
}

function addFour(row: i32, at: usize, vectors: i32, scratch: usize): void {
  const fa = factorOf(row);
  const fb = factorOf(row + 1);
  const fc = factorOf(row + 2);
  const fd = factorOf(row + 3);
  const a = job.row(row) + at;
  const b = job.row(row + 1) + at;
  const c = job.row(row + 2) + at;
  const d = job.row(row + 3) + at;
  for (let vector = 0; vector < vectors; vector++) {
    const offset = <usize>vector << 4;
    const sum = scratch + (<usize>vector << 5);
    let low = v128.load(sum);
    let high = v128.load(sum, 16);
    let x = v128.load(a + offset);
    low = f64x2.add(low, f64x2.mul(fa, f64x2.promote_low_f32x4(x)));
    high = f64x2.add(high, f64x2.mul(fa, promoteHigh(x)));
    x = v128.load(b + offset);
    low = f64x2.add(low, f64x2.mul(fb, f64x2.promote_low_f32x4(x)));
    high = f64x2.add(high, f64x2.mul(fb, promoteHigh(x)));
    x = v128.load(c + offset);
    low = f64x2.add(low, f64x2.mul(fc, f64x2.promote_low_f32x4(x)));
    high = f64x2.add(high, f64x2.mul(fc, promoteHigh(x)));
    x = v128.load(d + offset);
    low = f64x2.add(low, f64x2.mul(fd, f64x2.promote_low_f32x4(x)));
    high = f64x2.add(high, f64x2.mul(fd, promoteHigh(x)));
    v128.store(sum, low);
    v128.store(sum, high, 16);
  }
}

function addOne(row: i32, at: usize, vectors: i32, scratch: usize): void {
  const factor = factorOf(row);
  const x = job.row(row) + at;
  for (let vector = 0; vector < vectors; vector++) {
    const values = v128.load(x + (<usize>vector << 4));
    const sum = scratch + (<usize>vector << 5);
    v128.store(sum, f64x2.add(v128.load(sum), f64x2.mul(factor, f64x2.promote_low_f32x4(values))));
    v128.store(sum, f64x2.add(v128.load(sum, 16), f64x2.mul(factor, promoteHigh(values))), 16);
  }
}
