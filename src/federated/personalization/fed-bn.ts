import type { ParameterInfo } from "../../platform/training-backend.ts";

/** @returns whether the layout has anything that {@link withOwnNormalization} keeps */
export function hasNormalization(layout: readonly ParameterInfo[]): boolean {
  return layout.some(isOwn);
}

/**
 * FedBN (Li, Jiang, Zhang, Kamp and Dou 2021): each client keeps scale, shift and statistics of its batch normalisation to
 * itself, since they say how its sensor sees the world; everything else is the fleet's.
 * @param global weights of the round
 * @param own weights of this client's model of the round before
 * @returns global weights with the client's own normalisation
 */
export function withOwnNormalization(
  layout: readonly ParameterInfo[],
  global: Float32Array,
  own: Float32Array,
): Float32Array {
  const weights = global.slice();
  for (const parameter of layout) {
    if (!isOwn(parameter)) continue;
    const { offset, size } = parameter;
    weights.set(own.subarray(offset, offset + size), offset);
  }
  return weights;
}

/** @returns of weights only what {@link withOwnNormalization} keeps, one after the other */
export function packNormalization(
  layout: readonly ParameterInfo[],
  weights: Float32Array,
): Float32Array {
  const kept = layout.filter(isOwn);
  const packed = new Float32Array(kept.reduce((sum, { size }) => sum + size, 0));
  let at = 0;
  for (const { offset, size } of kept) {
    packed.set(weights.subarray(offset, offset + size), at);
    at += size;
  }
  return packed;
}

/** @returns weights with the normalisation that was packed; undefined where it is not that of such a model */
export function unpackNormalization(
  layout: readonly ParameterInfo[],
  weights: Float32Array,
  packed: Float32Array,
): Float32Array | undefined {
  const whole = weights.slice();
  let at = 0;
  for (const { offset, size } of layout.filter(isOwn)) {
    whole.set(packed.subarray(at, at + size), offset);
    at += size;
  }
  return at === packed.length ? whole : undefined;
}

/** Sets to zero what is each agent's own: of an update it is nobody else's business, whoever sent it. */
export function clearNormalization(layout: readonly ParameterInfo[], update: Float32Array): void {
  for (const { offset, size } of layout.filter(isOwn)) update.fill(0, offset, offset + size);
}

function isOwn({ role }: ParameterInfo): boolean {
  return role === "normalization" || role === "statistics";
}
