import { type Aggregation, type AggregationContext, AggregationError } from "../aggregation.ts";
import {
  average,
  indicesOfLeast,
  needUpdates,
  needWhole,
  pairwiseDistances,
  pick,
  sumOfLeast,
} from "../helpers.ts";

/**
 * Krum (Blanchard et al. 2017, section 4): each update is scored by the sum of the squared distances to its n − f − 2 nearest; the
 * one with the least score is the result.
 */
export class Krum implements Aggregation {
  readonly name = "krum";
  readonly showsNotFinite = true;
  readonly #byzantine: number;

  /**
   * `byzantine`: how many liars it is to withstand, the paper's f
   * @throws AggregationError `aggregation.options`
   */
  constructor({ byzantine }: { readonly byzantine: number }) {
    needWhole("krum", "byzantine", byzantine, 0);
    this.#byzantine = byzantine;
  }

  aggregate(
    updates: readonly Float32Array[],
    _weights: readonly number[],
    context: AggregationContext,
  ): Float32Array {
    return meanOfBest(this.name, updates, this.#byzantine, 1, context);
  }
}

/**
 * Multi-Krum (Blanchard et al. 2017, section 6): the mean of the updates with the least scores. Weights do not count: a liar
 * would say the largest.
 */
export class MultiKrum implements Aggregation {
  readonly name = "multi-krum";
  readonly showsNotFinite = true;
  readonly #byzantine: number;
  readonly #select: number | undefined;

  /**
   * `byzantine`: how many liars it is to withstand, the paper's f
   * `select`: how many updates are averaged, the paper's m, at most n − f; as many as that when absent
   * @throws AggregationError `aggregation.options`
   */
  constructor({ byzantine, select }: { readonly byzantine: number; readonly select?: number }) {
    needWhole("multi-krum", "byzantine", byzantine, 0);
    if (select !== undefined) needWhole("multi-krum", "select", select, 1);
    this.#byzantine = byzantine;
    this.#select = select;
  }

  aggregate(
    updates: readonly Float32Array[],
    _weights: readonly number[],
    context: AggregationContext,
  ): Float32Array {
    const most = updates.length - this.#byzantine;
    const select = this.#select ?? most;
    if (most > 0 && select > most)
      throw new AggregationError(
        "aggregation.too-few",
        `multi-krum is to select ${select} of ${updates.length} updates, ${this.#byzantine} of which may lie; select at most ${most}`,
      );
    return meanOfBest(this.name, updates, this.#byzantine, select, context);
  }
}

function meanOfBest(
  rule: string,
  updates: readonly Float32Array[],
  byzantine: number,
  select: number,
  { math }: AggregationContext,
): Float32Array {
  needUpdates(rule, updates.length, 2 * byzantine + 3, `2f + 3 with f = ${byzantine}`);
  // The least of a row is the distance to itself, 0.
  const scores = pairwiseDistances(updates, math).map((row) =>
    sumOfLeast(row, updates.length - byzantine - 1),
  );
  return average(pick(updates, indicesOfLeast(scores, select)), math);
}
