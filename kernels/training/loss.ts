import { rowMax } from "./activation";
import { bytes, exp1, log } from "./math";

/**
 * Cross-entropy of the softmax of each row with its class, summed over the rows.
 * @param labels int32 classes @param gradient gets `factor * (softmax - class)` unless 0; may be `logits`
 */
export function softmaxCrossEntropy(
  logits: usize,
  labels: usize,
  rows: i32,
  columns: i32,
  factor: f32,
  gradient: usize,
): f64 {
  let loss: f64 = 0;
  for (let row: i32 = 0; row < rows; row++) {
    const label = load<i32>(labels + bytes(row));
    const most = rowMax(logits, columns);
    const wanted = load<f32>(logits + bytes(label));
    let sum: f64 = 0;
    for (let at: i32 = 0; at < columns; at++) sum += exp1(load<f32>(logits + bytes(at)) - most);
    loss += log(sum) + <f64>most - <f64>wanted;
    if (gradient != 0) {
      const share = <f32>(<f64>factor / sum);
      for (let at: i32 = 0; at < columns; at++) {
        const power = share * exp1(load<f32>(logits + bytes(at)) - most);
        store<f32>(gradient + bytes(at), at == label ? power - factor : power);
      }
      gradient += bytes(columns);
    }
    // `log` takes normal numbers; what is not one makes the loss NaN.
    if (!(sum >= 1 && sum < Infinity)) loss = NaN;
    logits += bytes(columns);
  }
  return loss;
}

/** How many rows are largest, first among equals, at their class. */
export function hits(outputs: usize, labels: usize, rows: i32, columns: i32): i32 {
  let count: i32 = 0;
  for (let row: i32 = 0; row < rows; row++) {
    let best: i32 = 0;
    for (let at: i32 = 1; at < columns; at++)
      if (load<f32>(outputs + bytes(at)) > load<f32>(outputs + bytes(best))) best = at;
    if (best == load<i32>(labels + bytes(row))) count++;
    outputs += bytes(columns);
  }
  return count;
}

/** `max(x, 0) - x t + log(1 + e^-|x|)` summed. @param gradient gets `factor * (sigmoid(x) - t)` unless 0; may be `logits` */
export function sigmoidCrossEntropy(
  logits: usize,
  targets: usize,
  length: i32,
  factor: f32,
  gradient: usize,
): f64 {
  let loss: f64 = 0;
  for (let at: i32 = 0; at < length; at++) {
    const x = load<f32>(logits + bytes(at));
    const target = load<f32>(targets + bytes(at));
    const power = exp1(-abs(x));
    loss += <f64>max(x, <f32>0) - <f64>x * <f64>target + log(1 + <f64>power);
    if (gradient != 0) {
      const sigmoid = (x >= 0 ? <f32>1 : power) / (<f32>1 + power);
      store<f32>(gradient + bytes(at), factor * (sigmoid - target));
    }
  }
  return loss;
}

/** `(y - t)^2` summed. @param gradient gets `2 factor (y - t)` unless 0; may be `outputs` */
export function squaredError(
  outputs: usize,
  targets: usize,
  length: i32,
  factor: f32,
  gradient: usize,
): f64 {
  let loss: f64 = 0;
  for (let at: i32 = 0; at < length; at++) {
    const error = load<f32>(outputs + bytes(at)) - load<f32>(targets + bytes(at));
    loss += <f64>error * <f64>error;
    if (gradient != 0) store<f32>(gradient + bytes(at), 2 * factor * error);
  }
  return loss;
}
