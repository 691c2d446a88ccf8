/**
 * `rows` × 8 values of `c = alpha * a b` or `c += alpha * a b`, held in registers while all of `depth` goes by. Six rows
 * take twelve accumulators, two vectors of `b` and one of `a`: fifteen of the sixteen vector registers of x86-64.
 *
 * `rows` and `transposed` are constants where this is called, so that what is not for them falls away.
 *
 * @param a `aStride` bytes from one row to the next, or from one step of depth to the next when it is transposed
 * @param b `bStride` bytes from one step of depth to the next; 8 values are read from each
 * @param columns how many of the 8 are written
 */
@inline
export function tile(
  rows: i32,
  transposed: bool,
  depth: i32,
  alpha: f32,
  a: usize,
  aStride: usize,
  b: usize,
  bStride: usize,
  c: usize,
  cStride: usize,
  columns: i32,
  accumulate: bool,
): void {
  let c00 = f32x4.splat(0);
  let c01 = f32x4.splat(0);
  let c10 = f32x4.splat(0);
  let c11 = f32x4.splat(0);
  let c20 = f32x4.splat(0);
  let c21 = f32x4.splat(0);
  let c30 = f32x4.splat(0);
  let c31 = f32x4.splat(0);
  let c40 = f32x4.splat(0);
  let c41 = f32x4.splat(0);
  let c50 = f32x4.splat(0);
  let c51 = f32x4.splat(0);
  let a0 = a;
  let a1 = a + aStride;
  let a2 = a1 + aStride;
  let a3 = a2 + aStride;
  let a4 = a3 + aStride;
  let a5 = a4 + aStride;
  for (let step: i32 = 0; step < depth; step++) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    b += bStride;
    const s0 = v128.load32_splat(a0);
    c00 = f32x4.relaxed_madd(s0, b0, c00);
    c01 = f32x4.relaxed_madd(s0, b1, c01);
    if (rows > 1) {
      const s1 = transposed ? v128.load32_splat(a0, 4) : v128.load32_splat(a1);
      c10 = f32x4.relaxed_madd(s1, b0, c10);
      c11 = f32x4.relaxed_madd(s1, b1, c11);
    }
    if (rows > 2) {
      const s2 = transposed ? v128.load32_splat(a0, 8) : v128.load32_splat(a2);
      c20 = f32x4.relaxed_madd(s2, b0, c20);
      c21 = f32x4.relaxed_madd(s2, b1, c21);
      const s3 = transposed ? v128.load32_splat(a0, 12) : v128.load32_splat(a3);
      c30 = f32x4.relaxed_madd(s3, b0, c30);
      c31 = f32x4.relaxed_madd(s3, b1, c31);
    }
    if (rows > 4) {
      const s4 = transposed ? v128.load32_splat(a0, 16) : v128.load32_splat(a4);
      c40 = f32x4.relaxed_madd(s4, b0, c40);
      c41 = f32x4.relaxed_madd(s4, b1, c41);
      const s5 = transposed ? v128.load32_splat(a0, 20) : v128.load32_splat(a5);
      c50 = f32x4.relaxed_madd(s5, b0, c50);
      c51 = f32x4.relaxed_madd(s5, b1, c51);
    }
    if (transposed) a0 += aStride;
    else {
      a0 += 4;
      if (rows > 1) a1 += 4;
      if (rows > 2) {
        a2 += 4;
        a3 += 4;
      }
      if (rows > 4) {
        a4 += 4;
        a5 += 4;
      }
    }
  }
  const scale = f32x4.splat(alpha);
  put(c, c00, c01, scale, columns, accumulate);
  if (rows > 1) put((c += cStride), c10, c11, scale, columns, accumulate);
  if (rows > 2) {
    put((c += cStride), c20, c21, scale, columns, accumulate);
    put((c += cStride), c30, c31, scale, columns, accumulate);
  }
  if (rows > 4) {
    put((c += cStride), c40, c41, scale, columns, accumulate);
    put((c += cStride), c50, c51, scale, columns, accumulate);
  }
}

@inline
function put(to: usize, low: v128, high: v128, scale: v128, columns: i32, accumulate: bool): void {
  if (columns == 8) {
    if (accumulate) {
      v128.store(to, f32x4.relaxed_madd(scale, low, v128.load(to)));
      v128.store(to, f32x4.relaxed_madd(scale, high, v128.load(to, 16)), 16);
    } else {
      v128.store(to, f32x4.mul(scale, low));
      v128.store(to, f32x4.mul(scale, high), 16);
    }
  } else putPart(to, f32x4.mul(scale, low), f32x4.mul(scale, high), columns, accumulate);
}

/** Fewer than 8 columns. */
function putPart(to: usize, low: v128, high: v128, columns: i32, accumulate: bool): void {
  let rest = low;
  if (columns >= 4) {
    v128.store(to, accumulate ? f32x4.add(low, v128.load(to)) : low);
    rest = high;
    to += 16;
    columns -= 4;
  }
  if (columns > 0)
    store<f32>(to, f32x4.extract_lane(rest, 0) + (accumulate ? load<f32>(to) : 0));
  if (columns > 1)
    store<f32>(to, f32x4.extract_lane(rest, 1) + (accumulate ? load<f32>(to, 4) : 0), 4);
  if (columns > 2)
    store<f32>(to, f32x4.extract_lane(rest, 2) + (accumulate ? load<f32>(to, 8) : 0), 8);
}
