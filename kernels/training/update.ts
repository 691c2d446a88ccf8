import { bytes } from "./math";

/**
 * One step of gradient descent in one pass: `g = factor * g + decay * w + mu * (w - anchor) + correction`,
 * `v = momentum * v + g`, `w -= rate * v`.
 * @param velocity @param anchor @param correction 0 where there is none
 */
export function sgd(
  weights: usize,
  gradient: usize,
  length: i32,
  rate: f32,
  factor: f32,
  decay: f32,
  mu: f32,
  anchor: usize,
  correction: usize,
  momentum: f32,
  velocity: usize,
): void {
  let at: i32 = 0;
  for (; at + 4 <= length; at += 4) {
    const to = weights + bytes(at);
    const w = v128.load(to);
    let g = f32x4.mul(f32x4.splat(factor), v128.load(gradient + bytes(at)));
    g = f32x4.relaxed_madd(f32x4.splat(decay), w, g);
    if (anchor != 0) g = f32x4.relaxed_madd(f32x4.splat(mu), f32x4.sub(w, v128.load(anchor + bytes(at))), g);
    if (correction != 0) g = f32x4.add(g, v128.load(correction + bytes(at)));
    if (velocity != 0) {
      g = f32x4.relaxed_madd(f32x4.splat(momentum), v128.load(velocity + bytes(at)), g);
      v128.store(velocity + bytes(at), g);
    }
    v128.store(to, f32x4.relaxed_nmadd(f32x4.splat(rate), g, w));
  }
  for (; at < length; at++) {
    const to = weights + bytes(at);
    const w = load<f32>(to);
    let g = factor * load<f32>(gradient + bytes(at)) + decay * w;
    if (anchor != 0) g += mu * (w - load<f32>(anchor + bytes(at)));
    if (correction != 0) g += load<f32>(correction + bytes(at));
    if (velocity != 0) {
      g += momentum * load<f32>(velocity + bytes(at));
      store<f32>(velocity + bytes(at), g);
    }
    store<f32>(to, w - rate * g);
  }
}

/** Inverted dropout: values whose hash is below `threshold` become zero, the others are scaled. `y` may be `x`. */
export function dropout(x: usize, y: usize, length: i32, key: i32, threshold: i32, factor: f32): void {
  let index = i32x4(0, 1, 2, 3);
  const four = i32x4.splat(4);
  let at: i32 = 0;
  for (; at + 4 <= length; at += 4) {
    let bits = i32x4.add(i32x4.splat(key), i32x4.mul(index, i32x4.splat(0x9e3779b1)));
    bits = i32x4.mul(v128.xor(bits, i32x4.shr_u(bits, 16)), i32x4.splat(0x85ebca6b));
    bits = i32x4.mul(v128.xor(bits, i32x4.shr_u(bits, 13)), i32x4.splat(0xc2b2ae35));
    bits = v128.xor(bits, i32x4.shr_u(bits, 16));
    const kept = i32x4.ge_s(i32x4.shr_u(bits, 8), i32x4.splat(threshold));
    const value = f32x4.mul(f32x4.splat(factor), v128.load(x + bytes(at)));
    v128.store(y + bytes(at), v128.and(value, kept));
    index = i32x4.add(index, four);
  }
  for (; at < length; at++) {
    let bits = key + at * 0x9e3779b1;
    bits = (bits ^ (bits >>> 16)) * 0x85ebca6b;
    bits = (bits ^ (bits >>> 13)) * 0xc2b2ae35;
    bits ^= bits >>> 16;
    const kept = bits >>> 8 >= threshold;
    store<f32>(y + bytes(at), kept ? factor * load<f32>(x + bytes(at)) : 0);
  }
}

/** `to[i] = table[ids[i]]`; ids are whole numbers in float32. */
export function gather(ids: usize, table: usize, count: i32, units: i32, to: usize): void {
  for (let at: i32 = 0; at < count; at++)
    memory.copy(to + bytes(at * units), table + bytes(<i32>load<f32>(ids + bytes(at)) * units), bytes(units));
}

/** `table[ids[i]] += factor * rows[i]`, one after the other. */
export function scatterAdd(
  ids: usize,
  rows: usize,
  count: i32,
  units: i32,
  factor: f32,
  table: usize,
): void {
  for (let at: i32 = 0; at < count; at++) {
    const from = rows + bytes(at * units);
    const to = table + bytes(<i32>load<f32>(ids + bytes(at)) * units);
    let unit: i32 = 0;
    for (; unit + 4 <= units; unit += 4) {
      const target = to + bytes(unit);
      v128.store(target, f32x4.relaxed_madd(f32x4.splat(factor), v128.load(from + bytes(unit)), v128.load(target)));
    }
    for (; unit < units; unit++)
      store<f32>(to + bytes(unit), load<f32>(to + bytes(unit)) + factor * load<f32>(from + bytes(unit)));
  }
}
