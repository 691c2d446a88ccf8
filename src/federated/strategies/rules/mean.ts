import type { Aggregation, AggregationContext } from "../aggregation.ts";
import { weightedAverage } from "../helpers.ts";

/**
 * The weighted mean of FedAvg (McMahan et al. 2017, algorithm 1). One liar moves it anywhere: weights and values are the senders'
 * own word.
 */
export class Mean implements Aggregation {
  readonly name = "mean";
  readonly showsNotFinite = true;

  aggregate(
    updates: readonly Float32Array[],
    weights: readonly number[],
    { math }: AggregationContext,
  ): Float32Array {
    return weightedAverage(updates, weights, math);
  }
}
