import { type Aggregation, type AggregationContext, AggregationError } from "../aggregation.ts";
import { needWhole } from "../helpers.ts";

/** The median of each coordinate (Yin et al. 2018, definition 1): less than half of the senders may lie. */
export class CoordinateMedian implements Aggregation {
  readonly name = "median";

  aggregate(
    updates: readonly Float32Array[],
    _weights: readonly number[],
    { math }: AggregationContext,
  ): Float32Array {
    return math.median(updates);
  }
}

/** How much {@link TrimmedMean} trims at each end: a number of values, or a share of them below one half. */
export type Trim = { readonly trim: number } | { readonly share: number };

/**
 * The mean of each coordinate without its least and greatest values (Yin et al. 2018, definition 2): as many senders may lie as
 * are trimmed at one end. A share that comes to less than one value is refused, since it would be the plain mean.
 */
export class TrimmedMean implements Aggregation {
  readonly name = "trimmed-mean";
  readonly #trim: Trim;

  /** @throws AggregationError `aggregation.options` */
  constructor(trim: Trim) {
    if ("trim" in trim) needWhole("trimmed-mean", "trim", trim.trim, 1);
    else if (!(trim.share > 0 && trim.share < 0.5))
      throw new AggregationError(
        "aggregation.options",
        `share of trimmed-mean is ${trim.share}; it has to be above 0 and below 0.5`,
      );
    this.#trim = trim;
  }

  aggregate(
    updates: readonly Float32Array[],
    _weights: readonly number[],
    { math }: AggregationContext,
  ): Float32Array {
    const count = updates.length;
    const trim = "trim" in this.#trim ? this.#trim.trim : Math.floor(this.#trim.share * count);
    if (trim < 1)
      throw new AggregationError(
        "aggregation.too-few",
        `trimmed-mean would trim nothing of ${count} updates; wait for more, or say how many by trim`,
      );
    if (2 * trim >= count)
      throw new AggregationError(
        "aggregation.too-few",
        `trimmed-mean needs more than ${2 * trim} updates to trim ${trim} at each end and has ${count}`,
      );
    return math.trimmedMean(updates, trim);
  }
}
