import { job } from "./job";
import { promoteHigh } from "./lanes";

/**
 * Coordinates whose squares are summed in float32, in four lanes, before the sum goes on in float64: 32 positive
 * terms a lane, so the relative error stays below 36 · 2⁻²⁴. Also what of all rows fits in the first cache.
 */
const CHUNK: i32 = 128;

/** Lanes below `left` are kept. */
// @ts-ignore: decorator
@inline
function maskOf(left: i32): v128 {
  return i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(left));
}

// @ts-ignore: decorator
@inline
function addSquare(sum: v128, x: v128, y: v128): v128 {
  const difference = f32x4.sub(x, y);
  return f32x4.add(sum, f32x4.mul(difference, difference));
}

/** Adds the four lanes of a chunk, (0 + 2) + (1 + 3), to where a distance is summed. */
// @ts-ignore: decorator
@inline
function addLanes(to: usize, sum: v128): void {
  const pairs = f64x2.add(f64x2.promote_low_f32x4(sum), promoteHigh(sum));
  store<f64>(to, load<f64>(to) + (f64x2.extract_lane(pairs, 0) + f64x2.extract_lane(pairs, 1)));
}

/** Into the slot of the block: a float64 for each pair i < j at `i * (rows + 4) + j`; what is elsewhere means nothing. */
export function distancesOfPairs(block: i32, from: usize, length: i32): void {
  const rows = job.rows();
  const pitch = <usize>(rows + 4) << 3;
  const slot = job.slots() + <usize>block * job.slotBytes();
  memory.fill(slot, 0, job.slotBytes());
  for (let chunk = 0; chunk < length; chunk += CHUNK) {
    const count = min(CHUNK, length - chunk);
    const at = (from + chunk) << 2;
    for (let i = 0; i < rows - 1; i += 2)
      for (let j = i + 1; j < rows; j += 4)
        twoByFour(i, j, at, count, slot + <usize>i * pitch + (<usize>j << 3), pitch);
  }
}

/** Rows beyond the last stand for the last one. */
function twoByFour(i: i32, j: i32, at: usize, count: i32, to: usize, pitch: usize): void {
  let x = job.row(i) + at;
  let y = job.row(i + 1) + at;
  let a = job.row(j) + at;
  let b = job.row(j + 1) + at;
  let c = job.row(j + 2) + at;
  let d = job.row(j + 3) + at;
  let xa = f32x4.splat(0), xb = f32x4.splat(0), xc = f32x4.splat(0), xd = f32x4.splat(0);
  let ya = f32x4.splat(0), yb = f32x4.splat(0), yc = f32x4.splat(0), yd = f32x4.splat(0);
  const end = x + (<usize>(count & ~3) << 2);
  while (x < end) {
    const vx = v128.load(x);
    const vy = v128.load(y);
    let other = v128.load(a);
    xa = addSquare(xa, vx, other);
    ya = addSquare(ya, vy, other);
    other = v128.load(b);
    xb = addSquare(xb, vx, other);
    yb = addSquare(yb, vy, other);
    other = v128.load(c);
    xc = addSquare(xc, vx, other);
    yc = addSquare(yc, vy, other);
    other = v128.load(d);
    xd = addSquare(xd, vx, other);
    yd = addSquare(yd, vy, other);
    x += 16; y += 16; a += 16; b += 16; c += 16; d += 16;
  }
  if ((count & 3) != 0) {
    const mask = maskOf(count & 3);
    const vx = v128.and(v128.load(x), mask);
    const vy = v128.and(v128.load(y), mask);
    let other = v128.and(v128.load(a), mask);
    xa = addSquare(xa, vx, other);
    ya = addSquare(ya, vy, other);
    other = v128.and(v128.load(b), mask);
    xb = addSquare(xb, vx, other);
    yb = addSquare(yb, vy, other);
    other = v128.and(v128.load(c), mask);
    xc = addSquare(xc, vx, other);
    yc = addSquare(yc, vy, other);
    other = v128.and(v128.load(d), mask);
    xd = addSquare(xd, vx, other);
    yd = addSquare(yd, vy, other);
  }
  addLanes(to, xa);
  addLanes(to + 8, xb);
  addLanes(to + 16, xc);
  addLanes(to + 24, xd);
  addLanes(to + pitch, ya);
  addLanes(to + pitch + 8, yb);
  addLanes(to + pitch + 16, yc);
  addLanes(to + pitch + 24, yd);
}

/** Into the slot of the block: a float64 for each row. */
export function distancesToPoint(block: i32, from: usize, length: i32): void {
  const rows = job.rows();
  const slot = job.slots() + <usize>block * job.slotBytes();
  memory.fill(slot, 0, job.slotBytes());
  for (let chunk = 0; chunk < length; chunk += CHUNK) {
    const count = min(CHUNK, length - chunk);
    const at = (from + chunk) << 2;
    for (let row = 0; row < rows; row++) {
      let x = job.row(row) + at;
      let y = job.point() + at;
      let sum = f32x4.splat(0);
      const end = x + (<usize>(count & ~3) << 2);
      while (x < end) {
        sum = addSquare(sum, v128.load(x), v128.load(y));
        x += 16;
        y += 16;
      }
      if ((count & 3) != 0) {
        const mask = maskOf(count & 3);
        sum = addSquare(sum, v128.and(v128.load(x), mask), v128.and(v128.load(y), mask));
      }
      addLanes(slot + (<usize>row << 3), sum);
    }
  }
}
