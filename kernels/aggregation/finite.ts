import { job } from "./job";

const MAGNITUDE: i32 = 0x7fffffff;
const INFINITY_BITS: i32 = 0x7f800000;

/**
 * Sets the flag of each row that holds NaN or an infinity: the bits of their magnitude are at or above those of infinity. Four rows
 * in one pass, since the processor fetches ahead for several at once; those that are left are read in four parts.
 */
export function findNotFinite(from: usize, length: i32): void {
  const rows = job.rows();
  const at = from << 2;
  let row = 0;
  for (; row + 4 <= rows; row += 4) {
    const a = job.row(row) + at;
    const b = job.row(row + 1) + at;
    const c = job.row(row + 2) + at;
    const d = job.row(row + 3) + at;
    let ma = i32x4.splat(0), mb = i32x4.splat(0), mc = i32x4.splat(0), md = i32x4.splat(0);
    const end = <usize>(length & ~3) << 2;
    for (let offset: usize = 0; offset < end; offset += 16) {
      ma = greater(ma, a + offset);
      mb = greater(mb, b + offset);
      mc = greater(mc, c + offset);
      md = greater(md, d + offset);
    }
    const rest = length & 3;
    flag(row, max(greatest(ma), greatestOf(a + end, rest)));
    flag(row + 1, max(greatest(mb), greatestOf(b + end, rest)));
    flag(row + 2, max(greatest(mc), greatestOf(c + end, rest)));
    flag(row + 3, max(greatest(md), greatestOf(d + end, rest)));
  }
  for (; row < rows; row++) {
    let x = job.row(row) + at;
    let ma = i32x4.splat(0), mb = i32x4.splat(0), mc = i32x4.splat(0), md = i32x4.splat(0);
    for (const end = x + (<usize>(length & ~15) << 2); x < end; x += 64) {
      ma = greater(ma, x);
      mb = greater(mb, x + 16);
      mc = greater(mc, x + 32);
      md = greater(md, x + 48);
    }
    const most = greatest(i32x4.max_s(i32x4.max_s(ma, mb), i32x4.max_s(mc, md)));
    flag(row, max(most, greatestOf(x, length & 15)));
  }
}

/** The magnitudes at `x` where they are above what was found. */
// @ts-ignore: decorator
@inline
function greater(found: v128, x: usize): v128 {
  return i32x4.max_s(found, v128.and(v128.load(x), i32x4.splat(MAGNITUDE)));
}

function greatest(lanes: v128): i32 {
  return max(
    max(i32x4.extract_lane(lanes, 0), i32x4.extract_lane(lanes, 1)),
    max(i32x4.extract_lane(lanes, 2), i32x4.extract_lane(lanes, 3)),
  );
}

function greatestOf(x: usize, count: i32): i32 {
  let most = 0;
  for (; count > 0; count--) {
    most = max(most, load<i32>(x) & MAGNITUDE);
    x += 4;
  }
  return most;
}

function flag(row: i32, magnitude: i32): void {
  if (magnitude >= INFINITY_BITS) atomic.store<i32>(job.result() + (<usize>row << 2), 1);
}
