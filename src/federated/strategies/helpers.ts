import type { VectorMath } from "../../platform/vector-math.ts";
import { AggregationError } from "./aggregation.ts";

/**
 * @returns the squared Euclidean distance between each two updates, as one array for each: its own place holds 0
 * @throws AggregationError `aggregation.not-finite` for updates that are not
 */
export function pairwiseDistances(
  updates: readonly Float32Array[],
  math: VectorMath,
): readonly Float64Array[] {
  const distances = math.squaredDistances(updates);
  // Between finite float32 values there are only finite distances in float64.
  if (!distances.every((row) => row.every(Number.isFinite)))
    throw new AggregationError("aggregation.not-finite", "an update holds NaN or an infinity");
  return distances;
}

/** @returns Σ wₖ uₖ / Σ wₖ */
export function weightedAverage(
  updates: readonly Float32Array[],
  weights: readonly number[],
  math: VectorMath,
): Float32Array {
  let total = 0;
  for (const weight of weights) total += weight;
  return math.weightedSum(
    updates,
    weights.map((weight) => weight / total),
  );
}

/** @returns the mean of the updates, each counting the same. */
export function average(updates: readonly Float32Array[], math: VectorMath): Float32Array {
  return math.weightedSum(
    updates,
    updates.map(() => 1 / updates.length),
  );
}

/** @returns the sum of the `count` least of the values, from the least upwards. */
export function sumOfLeast(values: Iterable<number>, count: number): number {
  let sum = 0;
  for (const value of Float64Array.from(values).sort().subarray(0, count)) sum += value;
  return sum;
}

/** @returns where the `count` least of the values are, in ascending order of places; of equal values the first ones. */
export function indicesOfLeast(values: ArrayLike<number>, count: number): number[] {
  const indices = Array.from(values, (_, index) => index);
  indices.sort((a, b) => {
    const [left = 0, right = 0] = [values[a], values[b]];
    return left < right ? -1 : left > right ? 1 : a - b;
  });
  return indices.slice(0, count).sort((a, b) => a - b);
}

/** @returns what a list has at these places. */
export function pick<T>(list: readonly T[], indices: readonly number[]): T[] {
  return indices.flatMap((index) => list.slice(index, index + 1));
}

/** @throws AggregationError `aggregation.too-few` when a rule needs more updates than there are */
export function needUpdates(rule: string, updates: number, least: number, why: string): void {
  if (updates < least)
    throw new AggregationError(
      "aggregation.too-few",
      `${rule} needs ${least} updates (${why}) and has ${updates}; wait for more, or lower what it is to withstand`,
    );
}

/** @throws AggregationError `aggregation.options` unless the value is a whole number of at least `least` */
export function needWhole(rule: string, option: string, value: number, least: number): void {
  if (!Number.isSafeInteger(value) || value < least)
    throw new AggregationError(
      "aggregation.options",
      `${option} of ${rule} is ${value}; it has to be a whole number of at least ${least}`,
    );
}

/** @throws AggregationError `aggregation.options` unless the value is finite and above zero */
export function needPositive(rule: string, option: string, value: number): void {
  if (!(value > 0 && value < Number.POSITIVE_INFINITY))
    throw new AggregationError(
      "aggregation.options",
      `${option} of ${rule} is ${value}; it has to be a number above 0`,
    );
}

/** @throws AggregationError `aggregation.options` unless the value is at least zero and below one */
export function needShare(rule: string, option: string, value: number): void {
  if (!(value >= 0 && value < 1))
    throw new AggregationError(
      "aggregation.options",
      `${option} of ${rule} is ${value}; it has to be at least 0 and below 1`,
    );
}
