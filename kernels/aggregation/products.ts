import { distanceOfBlock } from "./distances";
import { job } from "./job";
import { highHalves, lowHalves, maskOf, promoteHigh } from "./lanes";

/**
 * Coordinates whose products are summed in float32, in four lanes, before the sum goes on in float64: 16 roundings a lane,
 * and two more where lanes are added. Also what of all rows fits into the first cache.
 */
const CHUNK: i32 = 64;
const CHUNK_BYTES: usize = 256;

/** How far ‖x‖² + ‖y‖² may exceed ‖x − y‖² for products to be exact enough; `vector-math.ts` says why. */
const SHARE_MAX: f64 = 1.75;

/**
 * Into the slot of the block: a float64 for each pair i < j at `i * (rows + 4) + j`; what is elsewhere means nothing.
 *
 * By products, ‖x‖² + ‖y‖² − 2xy, of rows less a point in their middle: an addition and a multiplication instead of two and
 * one. Pairs that are much nearer to each other than to that point would lose digits; these are taken by their differences.
 */
export function distancesOfPairs(block: i32, from: usize, length: i32, scratch: usize): void {
  const rows = job.rows();
  const pitch = <usize>(rows + 4) << 3;
  const slot = job.slots() + <usize>block * job.slotBytes();
  // Tiles reach up to three rows beyond the last.
  const middle = scratch + <usize>(rows + 3) * CHUNK_BYTES;
  const moved = middle + CHUNK_BYTES;
  memory.fill(slot, 0, job.slotBytes());
  memory.fill(scratch + <usize>rows * CHUNK_BYTES, 0, 3 * CHUNK_BYTES);
  memory.fill(moved, 0, <usize>rows << 2);
  for (let chunk = 0; chunk < length; chunk += CHUNK) {
    const at = (from + chunk) << 2;
    findMiddle(at, middle);
    for (let row = 0; row < rows; row++)
      moveRow(job.row(row) + at, middle, min(CHUNK, length - chunk), scratch + <usize>row * CHUNK_BYTES, moved + (<usize>row << 2));
    for (let i = 0; i < rows; i += 2)
      for (let j = i; j < rows; j += 4)
        twoByFour(scratch + <usize>i * CHUNK_BYTES, scratch + <usize>j * CHUNK_BYTES, slot + <usize>i * pitch + (<usize>j << 3), pitch);
  }
  for (let i = 0; i < rows; i++)
    for (let j = i + 1; j < rows; j++) {
      const to = slot + <usize>i * pitch + (<usize>j << 3);
      const squares = load<f64>(slot + <usize>i * (pitch + 8)) + load<f64>(slot + <usize>j * (pitch + 8));
      const distance = squares - 2 * load<f64>(to);
      if (squares < Infinity && distance > 0 && distance * SHARE_MAX >= squares) store<f64>(to, distance);
      else if ((load<i32>(moved + (<usize>i << 2)) | load<i32>(moved + (<usize>j << 2))) == 0) store<f64>(to, 0);
      else store<f64>(to, distanceOfBlock(job.row(i) + (from << 2), job.row(j) + (from << 2), length));
    }
}

// @ts-ignore: decorator
@inline
function medianOfThree(a: v128, b: v128, c: v128): v128 {
  return f32x4.pmax(f32x4.pmin(a, b), f32x4.pmin(f32x4.pmax(a, b), c));
}

// @ts-ignore: decorator
@inline
function ninth(index: i32): usize {
  return job.row((index * job.rows()) / 9);
}

/** The median of the medians of three times three rows (Tukey's ninther): a few liars do not move it far. */
function findMiddle(at: usize, to: usize): void {
  const a = ninth(0) + at, b = ninth(1) + at, c = ninth(2) + at;
  const d = ninth(3) + at, e = ninth(4) + at, f = ninth(5) + at;
  const g = ninth(6) + at, h = ninth(7) + at, i = ninth(8) + at;
  for (let o: usize = 0; o < CHUNK_BYTES; o += 16)
    v128.store(
      to + o,
      medianOfThree(
        medianOfThree(v128.load(a + o), v128.load(b + o), v128.load(c + o)),
        medianOfThree(v128.load(d + o), v128.load(e + o), v128.load(f + o)),
        medianOfThree(v128.load(g + o), v128.load(h + o), v128.load(i + o)),
      ),
    );
}

/** A row less the middle, with zeros behind its end. `moved` keeps a bit of what was not zero. */
function moveRow(x: usize, middle: usize, count: i32, to: usize, moved: usize): void {
  let seen = i32x4.splat(0);
  const end = to + CHUNK_BYTES;
  for (const full = to + (<usize>(count & ~15) << 2); to < full; to += 64) {
    const a = f32x4.sub(v128.load(x), v128.load(middle));
    const b = f32x4.sub(v128.load(x, 16), v128.load(middle, 16));
    const c = f32x4.sub(v128.load(x, 32), v128.load(middle, 32));
    const d = f32x4.sub(v128.load(x, 48), v128.load(middle, 48));
    seen = v128.or(seen, v128.or(v128.or(a, b), v128.or(c, d)));
    v128.store(to, a);
    v128.store(to, b, 16);
    v128.store(to, c, 32);
    v128.store(to, d, 48);
    x += 64;
    middle += 64;
  }
  for (let left = count & 15; to < end; to += 16) {
    const kept = v128.and(f32x4.sub(v128.load(x), v128.load(middle)), maskOf(left));
    seen = v128.or(seen, kept);
    v128.store(to, kept);
    if (left > 4) {
      x += 16;
      middle += 16;
    }
    left = max(left - 4, 0);
  }
  if (v128.any_true(i32x4.shl(seen, 1))) store<i32>(moved, 1);
}

/** Adds the lanes of four sums, (0 + 2) + (1 + 3), to four float64. */
// @ts-ignore: decorator
@inline
function addLanes(to: usize, a: v128, b: v128, c: v128, d: v128): void {
  const ab = f32x4.add(lowHalves(a, b), highHalves(a, b));
  const cd = f32x4.add(lowHalves(c, d), highHalves(c, d));
  const sums = f32x4.add(
    i8x16.shuffle(ab, cd, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27),
    i8x16.shuffle(ab, cd, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31),
  );
  v128.store(to, f64x2.add(v128.load(to), f64x2.promote_low_f32x4(sums)));
  v128.store(to, f64x2.add(v128.load(to, 16), promoteHigh(sums)), 16);
}

function twoByFour(x: usize, y: usize, to: usize, pitch: usize): void {
  let xa = f32x4.splat(0), xb = f32x4.splat(0), xc = f32x4.splat(0), xd = f32x4.splat(0);
  let ya = f32x4.splat(0), yb = f32x4.splat(0), yc = f32x4.splat(0), yd = f32x4.splat(0);
  for (const end = x + CHUNK_BYTES; x < end; ) {
    const vx = v128.load(x);
    const vy = v128.load(x, CHUNK_BYTES);
    let other = v128.load(y);
    xa = f32x4.add(xa, f32x4.mul(vx, other));
    ya = f32x4.add(ya, f32x4.mul(vy, other));
    other = v128.load(y, CHUNK_BYTES);
    xb = f32x4.add(xb, f32x4.mul(vx, other));
    yb = f32x4.add(yb, f32x4.mul(vy, other));
    other = v128.load(y, 2 * CHUNK_BYTES);
    xc = f32x4.add(xc, f32x4.mul(vx, other));
    yc = f32x4.add(yc, f32x4.mul(vy, other));
    other = v128.load(y, 3 * CHUNK_BYTES);
    xd = f32x4.add(xd, f32x4.mul(vx, other));
    yd = f32x4.add(yd, f32x4.mul(vy, other));
    x += 16;
    y += 16;
  }
  addLanes(to, xa, xb, xc, xd);
  addLanes(to + pitch, ya, yb, yc, yd);
}
