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

function isOwn({ role }: ParameterInfo): boolean {
  return role === "normalization" || role === "statistics";
}
