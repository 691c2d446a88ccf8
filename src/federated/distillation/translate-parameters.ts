import type { ParameterInfo } from "../../platform/training-backend.ts";

/**
 * Takes over from another architecture what has a place here: tensors of the same name and number of axes, as far as both
 * reach along each axis, so that a small model is a corner of a large one (HeteroFL, Diao, Ding and Tarokh 2021).
 * @param into weights of the layout `to`: what has no counterpart stays
 * @returns how many parameters were taken over
 */
export function translateParameters(
  from: readonly ParameterInfo[],
  weights: Float32Array,
  to: readonly ParameterInfo[],
  into: Float32Array,
): number {
  const known = new Map(from.map((parameter) => [parameter.name, parameter]));
  let count = 0;
  for (const target of to) {
    const source = known.get(target.name);
    if (source === undefined || source.shape.length !== target.shape.length) continue;
    const shared = target.shape.map((size, axis) => Math.min(size, source.shape[axis] ?? 0));
    count += copyBlock(source, weights, target, into, shared);
  }
  return count;
}

/** Row-major: the last axis lies together, the others are counted through. */
function copyBlock(
  source: ParameterInfo,
  weights: Float32Array,
  target: ParameterInfo,
  into: Float32Array,
  shared: readonly number[],
): number {
  const run = shared.at(-1) ?? 1;
  const outer = shared.slice(0, -1);
  const runs = outer.reduce((product, size) => product * size, 1);
  for (let index = 0; index < runs; index++) {
    let left = index;
    const place: number[] = [];
    for (let axis = outer.length - 1; axis >= 0; axis--) {
      const size = outer[axis] ?? 1;
      place[axis] = left % size;
      left = Math.floor(left / size);
    }
    const at = source.offset + flat(place, source.shape);
    into.set(weights.subarray(at, at + run), target.offset + flat(place, target.shape));
  }
  return runs * run;
}

/** @returns where the run of the last axis at this place begins */
function flat(place: readonly number[], shape: readonly number[]): number {
  const begin = place.reduce((sum, at, axis) => sum * (shape[axis] ?? 1) + at, 0);
  return begin * (shape.length === 0 ? 1 : (shape.at(-1) ?? 1));
}
