import { bytes, exp1, exp4, sigmoid4, sum4, tanh4 } from "./math";

// What comes out of a sum, by number: 0 linear, 1 relu, 2 sigmoid, 3 tanh.

@inline
function activated(kind: i32, x: v128): v128 {
  if (kind == 1) return f32x4.max(x, f32x4.splat(0));
  if (kind == 2) return sigmoid4(x);
  if (kind == 3) return tanh4(x);
  return x;
}

/** `x = activation(x + bias)`, the bias along the rows; in place. */
export function biasActivation(kind: i32, x: usize, bias: usize, rows: i32, columns: i32): void {
  if (kind == 1) biasRows(1, x, bias, rows, columns);
  else if (kind == 2) biasRows(2, x, bias, rows, columns);
  else if (kind == 3) biasRows(3, x, bias, rows, columns);
  else biasRows(0, x, bias, rows, columns);
}

@inline
function biasRows(kind: i32, x: usize, bias: usize, rows: i32, columns: i32): void {
  for (let row: i32 = 0; row < rows; row++) {
    let column: i32 = 0;
    for (; column + 4 <= columns; column += 4) {
      v128.store(x, activated(kind, f32x4.add(v128.load(x), v128.load(bias + bytes(column)))));
      x += 16;
    }
    for (; column < columns; column++) {
      const sum = f32x4.splat(load<f32>(x) + load<f32>(bias + bytes(column)));
      store<f32>(x, f32x4.extract_lane(activated(kind, sum), 0));
      x += 4;
    }
  }
}

/** `dy *= activation'`, told by what came out; in place. */
export function activationGradient(kind: i32, y: usize, dy: usize, length: i32): void {
  if (kind == 1) gradient(1, y, dy, length);
  else if (kind == 2) gradient(2, y, dy, length);
  else if (kind == 3) gradient(3, y, dy, length);
}

@inline
function gradient(kind: i32, y: usize, dy: usize, length: i32): void {
  let at: i32 = 0;
  for (; at + 4 <= length; at += 4) {
    const to = dy + bytes(at);
    v128.store(to, gradient4(kind, v128.load(y + bytes(at)), v128.load(to)));
  }
  for (; at < length; at++) {
    const to = dy + bytes(at);
    const value = gradient4(kind, v128.load32_splat(y + bytes(at)), v128.load32_splat(to));
    store<f32>(to, f32x4.extract_lane(value, 0));
  }
}

@inline
function gradient4(kind: i32, y: v128, dy: v128): v128 {
  if (kind == 1) return v128.and(dy, f32x4.gt(y, f32x4.splat(0)));
  const one = f32x4.splat(1);
  const factor = kind == 2 ? f32x4.mul(y, f32x4.sub(one, y)) : f32x4.sub(one, f32x4.mul(y, y));
  return f32x4.mul(dy, factor);
}

/** Each row's shares of its e^x; in place. */
export function softmax(x: usize, rows: i32, columns: i32): void {
  for (let row: i32 = 0; row < rows; row++) {
    const most = rowMax(x, columns);
    const shift = f32x4.splat(most);
    let sums = f32x4.splat(0);
    let column: i32 = 0;
    for (; column + 4 <= columns; column += 4) {
      const to = x + bytes(column);
      const power = exp4(f32x4.sub(v128.load(to), shift));
      sums = f32x4.add(sums, power);
      v128.store(to, power);
    }
    let sum = sum4(sums);
    for (; column < columns; column++) {
      const to = x + bytes(column);
      const power = exp1(load<f32>(to) - most);
      sum += power;
      store<f32>(to, power);
    }
    for (let at: i32 = 0; at < columns; at++) store<f32>(x + bytes(at), load<f32>(x + bytes(at)) / sum);
    x += bytes(columns);
  }
}

/** `dy = y * (dy - y . dy)` in each row; in place. */
export function softmaxGradient(y: usize, dy: usize, rows: i32, columns: i32): void {
  for (let row: i32 = 0; row < rows; row++) {
    let sum: f32 = 0;
    for (let at: i32 = 0; at < columns; at++) sum += load<f32>(y + bytes(at)) * load<f32>(dy + bytes(at));
    for (let at: i32 = 0; at < columns; at++) {
      const to = dy + bytes(at);
      store<f32>(to, load<f32>(y + bytes(at)) * (load<f32>(to) - sum));
    }
    y += bytes(columns);
    dy += bytes(columns);
  }
}

/** NaN when one of them is. */
export function rowMax(x: usize, columns: i32): f32 {
  let most: f32 = load<f32>(x);
  for (let at: i32 = 1; at < columns; at++) most = max(most, load<f32>(x + bytes(at)));
  return most;
}
