import { job } from "./job";

const MAGNITUDE: i32 = 0x7fffffff;
const INFINITY_BITS: i32 = 0x7f800000;

/**
 * Sets the flag of each row that holds NaN or an infinity: the bits of their magnitude are at or above those of infinity. Four rows
 * in one pass, since the processor fetches ahead for several at once. Rows beyond the last stand for the last one.
 */
export function findNotFinite(from: usize, length: i32): void {
  const rows = job.rows();
  for (let row = 0; row < rows; row += 4) {
    const a = job.row(row) + (from << 2);
    const b = job.row(row + 1) + (from << 2);
    const c = job.row(row + 2) + (from << 2);
    const d = job.row(row + 3) + (from << 2);
    const magnitude = i32x4.splat(MAGNITUDE);
    let ma = i32x4.splat(0);
    let mb = i32x4.splat(0);
    let mc = i32x4.splat(0);
    let md = i32x4.splat(0);
    const end = <usize>(length & ~3) << 2;
    for (let at: usize = 0; at < end; at += 16) {
      ma = i32x4.max_s(ma, v128.and(v128.load(a + at), magnitude));
      mb = i32x4.max_s(mb, v128.and(v128.load(b + at), magnitude));
      mc = i32x4.max_s(mc, v128.and(v128.load(c + at), magnitude));
      md = i32x4.max_s(md, v128.and(v128.load(d + at), magnitude));
    }
    const rest = length & 3;
    flag(row, max(greatest(ma), greatestOf(a + end, rest)));
    flag(row + 1, max(greatest(mb), greatestOf(b + end, rest)));
    flag(row + 2, max(greatest(mc), greatestOf(c + end, rest)));
    flag(row + 3, max(greatest(md), greatestOf(d + end, rest)));
  }
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
  if (magnitude < INFINITY_BITS) return;
  atomic.store<i32>(job.result() + (<usize>min(row, job.rows() - 1) << 2), 1);
}
