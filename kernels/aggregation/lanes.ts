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
  const values = i8x16.shuffle(
    f32x4.demote_f64x2_zero(low),
    f32x4.demote_f64x2_zero(high),
    0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23,
  );
  return f32x4.add(values, f32x4.splat(0));
}
