/** The third and fourth float32 as float64. */
// @ts-ignore: decorator
@inline
export function promoteHigh(values: v128): v128 {
  return f64x2.promote_low_f32x4(
    i8x16.shuffle(values, values, 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15),
  );
}

/** Four float64 rounded to float32; zeros come out as +0. */
// @ts-ignore: decorator
@inline
export function rounded(low: v128, high: v128): v128 {
  const values = lowHalves(f32x4.demote_f64x2_zero(low), f32x4.demote_f64x2_zero(high));
  return f32x4.add(values, f32x4.splat(0));
}

/** The first two lanes of both. */
// @ts-ignore: decorator
@inline
export function lowHalves(a: v128, b: v128): v128 {
  return i8x16.shuffle(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
}

/** The last two lanes of both. */
// @ts-ignore: decorator
@inline
export function highHalves(a: v128, b: v128): v128 {
  return i8x16.shuffle(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
}

/** Ones in the lanes below `left`. */
// @ts-ignore: decorator
@inline
export function maskOf(left: i32): v128 {
  return i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(left));
}
