import { bytes } from "./math";

/** `y += a * x` */
export function axpy(a: f32, x: usize, y: usize, length: i32): void {
  const factor = f32x4.splat(a);
  let at: i32 = 0;
  for (; at + 4 <= length; at += 4) {
    const to = y + bytes(at);
    v128.store(to, f32x4.relaxed_madd(factor, v128.load(x + bytes(at)), v128.load(to)));
  }
  for (; at < length; at++) {
    const to = y + bytes(at);
    store<f32>(to, load<f32>(to) + a * load<f32>(x + bytes(at)));
  }
}

/** `x *= a` */
export function scale(a: f32, x: usize, length: i32): void {
  const factor = f32x4.splat(a);
  let at: i32 = 0;
  for (; at + 4 <= length; at += 4) {
    const to = x + bytes(at);
    v128.store(to, f32x4.mul(factor, v128.load(to)));
  }
  for (; at < length; at++) store<f32>(x + bytes(at), a * load<f32>(x + bytes(at)));
}

/** `x * y`, summed in float64. */
export function dot(x: usize, y: usize, length: i32): f64 {
  let low = f64x2.splat(0);
  let high = f64x2.splat(0);
  let at: i32 = 0;
  for (; at + 4 <= length; at += 4) {
    const left = v128.load(x + bytes(at));
    const right = v128.load(y + bytes(at));
    low = f64x2.add(low, f64x2.mul(f64x2.promote_low_f32x4(left), f64x2.promote_low_f32x4(right)));
    high = f64x2.add(high, f64x2.mul(f64x2.promote_low_f32x4(upper(left)), f64x2.promote_low_f32x4(upper(right))));
  }
  low = f64x2.add(low, high);
  let sum = f64x2.extract_lane(low, 0) + f64x2.extract_lane(low, 1);
  for (; at < length; at++) sum += <f64>load<f32>(x + bytes(at)) * <f64>load<f32>(y + bytes(at));
  return sum;
}

/** Whether none of the values is NaN or infinite: only those times zero are not zero. */
export function allFinite(x: usize, length: i32): bool {
  const zero = f32x4.splat(0);
  let sum = zero;
  let at: i32 = 0;
  for (; at + 4 <= length; at += 4) sum = f32x4.add(sum, f32x4.mul(v128.load(x + bytes(at)), zero));
  let rest: f32 = 0;
  for (; at < length; at++) rest += load<f32>(x + bytes(at)) * 0;
  return rest == 0 && !v128.any_true(f32x4.ne(sum, zero));
}

/** What a column's values come to: `to = a * sum over rows`, or `to += …`. Blocks of 64 rows in float32, these in float64. */
export function columnSums(
  x: usize,
  rows: i32,
  columns: i32,
  a: f32,
  to: usize,
  accumulate: bool,
): void {
  const stride = bytes(columns);
  let column: i32 = 0;
  for (; column + 4 <= columns; column += 4) {
    let low = f64x2.splat(0);
    let high = f64x2.splat(0);
    let from = x + bytes(column);
    for (let left = rows; left > 0; left -= 64) {
      let sum = f32x4.splat(0);
      for (let row = min(64, left); row > 0; row--) {
        sum = f32x4.add(sum, v128.load(from));
        from += stride;
      }
      low = f64x2.add(low, f64x2.promote_low_f32x4(sum));
      high = f64x2.add(high, f64x2.promote_low_f32x4(upper(sum)));
    }
    const target = to + bytes(column);
    const sum = f32x4.mul(f32x4.splat(a), narrowed(low, high));
    v128.store(target, accumulate ? f32x4.add(v128.load(target), sum) : sum);
  }
  for (; column < columns; column++) {
    let sum: f64 = 0;
    for (let row: i32 = 0; row < rows; row++) sum += load<f32>(x + <usize>row * stride + bytes(column));
    const target = to + bytes(column);
    store<f32>(target, <f32>(<f64>a * sum) + (accumulate ? load<f32>(target) : 0));
  }
}

/** The upper two values of four, in the place of the lower two. */
@inline
export function upper(x: v128): v128 {
  return v128.shuffle<f64>(x, x, 1, 1);
}

/** Two and two float64 values as four of float32. */
@inline
export function narrowed(low: v128, high: v128): v128 {
  return v128.shuffle<f64>(f32x4.demote_f64x2_zero(low), f32x4.demote_f64x2_zero(high), 0, 2);
}
