import type { Aggregation, AggregationContext } from "../aggregation.ts";
import { average, indicesOfLeast, needPositive, needWhole, pick } from "../helpers.ts";

/** Passes over all updates that are enough for six digits, unless far more than that are asked for. */
const ITERATIONS = 32;

/**
 * The geometric median by the smoothed Weiszfeld iteration of RFA (Pillutla, Kakade, Harchaoui 2022, algorithm 2): the point with
 * the least sum of distances, for which less than half of the senders may lie. It begins at the mean of the majority that is
 * nearest to the median of each coordinate: not where a liar has put the mean, nor at one of the updates, where Weiszfeld's iteration
 * would stick.
 */
export class GeometricMedian implements Aggregation {
  readonly name = "geometric-median";
  readonly #iterations: number;
  readonly #smoothing: number;
  readonly #tolerance: number;

  /**
   * `iterations`: the most steps
   * `smoothing`: distances below it count as it, the paper's ν
   * `tolerance`: it is done when a step lowers the sum of distances by less than this share
   * @throws AggregationError `aggregation.options`
   */
  constructor({
    iterations = ITERATIONS,
    smoothing = 1e-6,
    tolerance = 1e-7,
  }: {
    readonly iterations?: number;
    readonly smoothing?: number;
    readonly tolerance?: number;
  } = {}) {
    needWhole("geometric-median", "iterations", iterations, 1);
    needPositive("geometric-median", "smoothing", smoothing);
    needPositive("geometric-median", "tolerance", tolerance);
    this.#iterations = iterations;
    this.#smoothing = smoothing;
    this.#tolerance = tolerance;
  }

  aggregate(
    updates: readonly Float32Array[],
    _weights: readonly number[],
    { math }: AggregationContext,
  ): Float32Array {
    const around = math.squaredDistancesTo(updates, math.median(updates));
    const majority = indicesOfLeast(around, Math.floor(updates.length / 2) + 1);
    let point = average(pick(updates, majority), math);
    let before = Number.POSITIVE_INFINITY;
    for (let step = 0; step < this.#iterations; step++) {
      const distances = math.squaredDistancesTo(updates, point).map(Math.sqrt);
      let sum = 0;
      for (const distance of distances) sum += distance;
      if (before - sum <= this.#tolerance * sum) break;
      before = sum;
      const pulls = Array.from(distances, (distance) => 1 / Math.max(this.#smoothing, distance));
      let total = 0;
      for (const pull of pulls) total += pull;
      point = math.weightedSum(
        updates,
        pulls.map((pull) => pull / total),
      );
    }
    return point;
  }
}
