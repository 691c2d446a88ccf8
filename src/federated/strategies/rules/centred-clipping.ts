import type { Aggregation, AggregationContext } from "../aggregation.ts";
import { needPositive, needWhole } from "../helpers.ts";

/**
 * Centred clipping (Karimireddy, He, Jaggi 2021, algorithm 2): v ← v + mean of (uₖ − v) · min(1, τ / ‖uₖ − v‖), beginning
 * at the aggregate of the round before, at zero in the first. It wants updates with worker momentum, whose honest ones
 * agree from round to round; a liar moves the result by τ / n at most in each step.
 */
export class CentredClipping implements Aggregation {
  readonly name = "centred-clipping";
  readonly showsNotFinite = true;
  readonly usesPrevious = true;
  readonly #radius: number;
  readonly #iterations: number;

  /**
   * `radius`: the paper's τ
   * `iterations`: steps of one round, the paper's L
   * @throws AggregationError `aggregation.options`
   */
  constructor({
    radius,
    iterations = 1,
  }: { readonly radius: number; readonly iterations?: number }) {
    needPositive("centred-clipping", "radius", radius);
    needWhole("centred-clipping", "iterations", iterations, 1);
    this.#radius = radius;
    this.#iterations = iterations;
  }

  aggregate(
    updates: readonly Float32Array[],
    _weights: readonly number[],
    { math, previous }: AggregationContext,
  ): Float32Array {
    let centre = previous ?? new Float32Array(updates[0]?.length ?? 0);
    for (let step = 0; step < this.#iterations; step++) {
      const shares = Array.from(math.squaredDistancesTo(updates, centre), (square) => {
        const distance = Math.sqrt(square);
        return (distance > this.#radius ? this.#radius / distance : 1) / updates.length;
      });
      let taken = 0;
      for (const share of shares) taken += share;
      centre = math.weightedSum([centre, ...updates], [1 - taken, ...shares]);
    }
    return centre;
  }
}
