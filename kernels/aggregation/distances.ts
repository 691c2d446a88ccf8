import { job } from "./job";
import { maskOf, promoteHigh } from "./lanes";

/**
 * Coordinates whose squares are summed in float32, in four lanes, before the sum goes on in float64: 32 positive
 * terms a lane, so the relative error stays below 36 · 2⁻²⁴.
 */
const CHUNK: i32 = 128;
const CHUNK_BYTES: usize = 512;

/** The least float32 above zero. */
const LEAST: f64 = 1.401298464324817e-45;

// @ts-ignore: decorator
@inline
function addSquare(sum: v128, difference: v128): v128 {
  return f32x4.add(sum, f32x4.mul(difference, difference));
}

/** The four lanes of a chunk, (0 + 2) + (1 + 3). */
// @ts-ignore: decorator
@inline
function lanesOf(sum: v128): f64 {
  const pairs = f64x2.add(f64x2.promote_low_f32x4(sum), promoteHigh(sum));
  return f64x2.extract_lane(pairs, 0) + f64x2.extract_lane(pairs, 1);
}

/** Four chunks go side by side, so that none waits for the addition before. */
function sumOfSquares(x: usize, y: usize, length: i32): f64 {
  let total: f64 = 0;
  let left = length;
  for (; left >= 4 * CHUNK; left -= 4 * CHUNK) {
    let a = f32x4.splat(0), b = f32x4.splat(0), c = f32x4.splat(0), d = f32x4.splat(0);
    for (const end = x + CHUNK_BYTES; x < end; ) {
      a = addSquare(a, f32x4.sub(v128.load(x), v128.load(y)));
      b = addSquare(b, f32x4.sub(v128.load(x, CHUNK_BYTES), v128.load(y, CHUNK_BYTES)));
      c = addSquare(c, f32x4.sub(v128.load(x, 2 * CHUNK_BYTES), v128.load(y, 2 * CHUNK_BYTES)));
      d = addSquare(d, f32x4.sub(v128.load(x, 3 * CHUNK_BYTES), v128.load(y, 3 * CHUNK_BYTES)));
      x += 16;
      y += 16;
    }
    x += 3 * CHUNK_BYTES;
    y += 3 * CHUNK_BYTES;
    total += lanesOf(a);
    total += lanesOf(b);
    total += lanesOf(c);
    total += lanesOf(d);
  }
  for (; left > 0; left -= CHUNK) {
    let sum = f32x4.splat(0);
    const count = min(CHUNK, left);
    for (const end = x + (<usize>(count & ~3) << 2); x < end; ) {
      sum = addSquare(sum, f32x4.sub(v128.load(x), v128.load(y)));
      x += 16;
      y += 16;
    }
    if ((count & 3) != 0) {
      const mask = maskOf(count & 3);
      sum = addSquare(sum, f32x4.sub(v128.and(v128.load(x), mask), v128.and(v128.load(y), mask)));
    }
    total += lanesOf(sum);
  }
  return total;
}

/** Whether any value of x is another one than that of y. */
function differ(x: usize, y: usize, length: i32): bool {
  const end = x + (<usize>(length & ~3) << 2);
  for (; x < end; x += 16) {
    if (v128.any_true(f32x4.ne(v128.load(x), v128.load(y)))) return true;
    y += 16;
  }
  return v128.any_true(v128.and(f32x4.ne(v128.load(x), v128.load(y)), maskOf(length & 3)));
}

/**
 * ‖x − y‖² of one block.
 * @returns the least float32 where squares of differences vanished, so that only equal rows are at zero
 */
export function distanceOfBlock(x: usize, y: usize, length: i32): f64 {
  const total = sumOfSquares(x, y, length);
  return total == 0 && differ(x, y, length) ? LEAST : total;
}

/**
 * Into the slot of the block: a float64 for each row. Eight rows in one pass, since the processor fetches ahead for many at once. Rows
 * beyond the last stand for the last one.
 */
export function distancesToPoint(block: i32, from: usize, length: i32): void {
  const rows = job.rows();
  const at = from << 2;
  const slot = job.slots() + <usize>block * job.slotBytes();
  memory.fill(slot, 0, <usize>rows << 3);
  const full = length & ~(CHUNK - 1);
  for (let row = 0; row < rows; row += 8) eightToPoint(row, at, full, slot);
  for (let row = 0; row < rows; row++) {
    const to = slot + (<usize>row << 3);
    const x = job.row(row);
    const sum = load<f64>(to);
    const rest = at + (<usize>full << 2);
    // Zero may be what is left of tiny differences.
    if (sum == 0) store<f64>(to, distanceOfBlock(x + at, job.point() + at, length));
    else if (full < length)
      store<f64>(to, sum + sumOfSquares(x + rest, job.point() + rest, length - full));
  }
}

function eightToPoint(row: i32, at: usize, length: i32, slot: usize): void {
  const last = job.rows() - 1;
  let a = job.row(row) + at, b = job.row(row + 1) + at, c = job.row(row + 2) + at, d = job.row(row + 3) + at;
  let e = job.row(row + 4) + at, f = job.row(row + 5) + at, g = job.row(row + 6) + at, h = job.row(row + 7) + at;
  let point = job.point() + at;
  for (let chunk = 0; chunk < length; chunk += CHUNK) {
    let sa = f32x4.splat(0), sb = f32x4.splat(0), sc = f32x4.splat(0), sd = f32x4.splat(0);
    let se = f32x4.splat(0), sf = f32x4.splat(0), sg = f32x4.splat(0), sh = f32x4.splat(0);
    for (const end = point + CHUNK_BYTES; point < end; point += 16) {
      const p = v128.load(point);
      sa = addSquare(sa, f32x4.sub(v128.load(a), p));
      sb = addSquare(sb, f32x4.sub(v128.load(b), p));
      sc = addSquare(sc, f32x4.sub(v128.load(c), p));
      sd = addSquare(sd, f32x4.sub(v128.load(d), p));
      se = addSquare(se, f32x4.sub(v128.load(e), p));
      sf = addSquare(sf, f32x4.sub(v128.load(f), p));
      sg = addSquare(sg, f32x4.sub(v128.load(g), p));
      sh = addSquare(sh, f32x4.sub(v128.load(h), p));
      a += 16; b += 16; c += 16; d += 16; e += 16; f += 16; g += 16; h += 16;
    }
    add(slot, row, sa);
    if (row + 1 <= last) add(slot, row + 1, sb);
    if (row + 2 <= last) add(slot, row + 2, sc);
    if (row + 3 <= last) add(slot, row + 3, sd);
    if (row + 4 <= last) add(slot, row + 4, se);
    if (row + 5 <= last) add(slot, row + 5, sf);
    if (row + 6 <= last) add(slot, row + 6, sg);
    if (row + 7 <= last) add(slot, row + 7, sh);
  }
}

// @ts-ignore: decorator
@inline
function add(slot: usize, row: i32, sum: v128): void {
  const to = slot + (<usize>row << 3);
  store<f64>(to, load<f64>(to) + lanesOf(sum));
}
