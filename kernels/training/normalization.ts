import { bytes } from "./math";

/** Mean and variance (not corrected) of each column, summed in float64. */
export function moments(x: usize, rows: i32, columns: i32, mean: usize, variance: usize): void {
  for (let column: i32 = 0; column < columns; column++) {
    let sum: f64 = 0;
    for (let row: i32 = 0; row < rows; row++) sum += load<f32>(x + bytes(row * columns + column));
    const middle = sum / rows;
    let squares: f64 = 0;
    for (let row: i32 = 0; row < rows; row++) {
      const off = <f64>load<f32>(x + bytes(row * columns + column)) - middle;
      squares += off * off;
    }
    store<f32>(mean + bytes(column), <f32>middle);
    store<f32>(variance + bytes(column), <f32>(squares / rows));
  }
}

/** `y = (x - mean) / sqrt(variance + epsilon) * gamma + beta`, column by column. `y` may be `x`. */
export function normalize(
  x: usize,
  rows: i32,
  columns: i32,
  mean: usize,
  variance: usize,
  epsilon: f32,
  gamma: usize,
  beta: usize,
  y: usize,
): void {
  for (let row: i32 = 0; row < rows; row++) {
    let column: i32 = 0;
    for (; column + 4 <= columns; column += 4) {
      const at = bytes(column);
      const spread = f32x4.sqrt(f32x4.add(v128.load(variance + at), f32x4.splat(epsilon)));
      const off = f32x4.sub(v128.load(x), v128.load(mean + at));
      v128.store(y, f32x4.add(f32x4.div(f32x4.mul(off, v128.load(gamma + at)), spread), v128.load(beta + at)));
      x += 16;
      y += 16;
    }
    for (; column < columns; column++) {
      const at = bytes(column);
      const spread = sqrt<f32>(load<f32>(variance + at) + epsilon);
      const off = load<f32>(x) - load<f32>(mean + at);
      store<f32>(y, (off * load<f32>(gamma + at)) / spread + load<f32>(beta + at));
      x += 4;
      y += 4;
    }
  }
}

/**
 * Backwards through the moments of the batch. `dGamma` and `dBeta` are set to the plain sums, `dx` (may be `dy`) to the
 * gradient by what came in, unless it is 0.
 */
export function normalizeGradient(
  x: usize,
  rows: i32,
  columns: i32,
  mean: usize,
  variance: usize,
  epsilon: f32,
  gamma: usize,
  dy: usize,
  dGamma: usize,
  dBeta: usize,
  dx: usize,
): void {
  for (let column: i32 = 0; column < columns; column++) {
    const middle = <f64>load<f32>(mean + bytes(column));
    const spread = <f64>1 / sqrt<f64>(<f64>load<f32>(variance + bytes(column)) + <f64>epsilon);
    let sum: f64 = 0;
    let weighted: f64 = 0;
    for (let row: i32 = 0; row < rows; row++) {
      const at = bytes(row * columns + column);
      const slope = <f64>load<f32>(dy + at);
      sum += slope;
      weighted += slope * (<f64>load<f32>(x + at) - middle) * spread;
    }
    store<f32>(dGamma + bytes(column), <f32>weighted);
    store<f32>(dBeta + bytes(column), <f32>sum);
    if (dx == 0) continue;
    const factor = <f64>load<f32>(gamma + bytes(column)) * spread;
    for (let row: i32 = 0; row < rows; row++) {
      const at = bytes(row * columns + column);
      const normal = (<f64>load<f32>(x + at) - middle) * spread;
      store<f32>(dx + at, <f32>(factor * (<f64>load<f32>(dy + at) - (sum + normal * weighted) / rows)));
    }
  }
}
