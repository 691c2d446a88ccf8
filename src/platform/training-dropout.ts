/**
 * What a dropout layer's mask at one step begins with. Value `i` of the layer is dropped when
 * `mix(key + i * 0x9e3779b1) >>> 8` is below `rate * 2^24`: any backend draws the same masks, at any place, without a state.
 */
export function dropoutKey(seed: number, step: number, layer: number): number {
  return mix(mix(mix(seed ^ 0x2545f491) ^ step) ^ layer);
}

/** Finalizer of MurmurHash3 (Appleby), 32 bits. */
export function mix(value: number): number {
  let bits = value | 0;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return bits ^ (bits >>> 16);
}
