import {
  type Aggregation,
  type AggregationContext,
  AggregationError,
  type PreAggregation,
} from "../aggregation.ts";
import {
  average,
  indicesOfLeast,
  needUpdates,
  needWhole,
  pairwiseDistances,
  pick,
} from "../helpers.ts";

/**
 * Nearest-neighbour mixing (Allouah et al. 2023, algorithm 2): each update is replaced by the mean of the n − f nearest to
 * it, itself among them. Afterwards the honest ones are close together, which makes any robust rule as good as can be when data differ.
 */
export class NearestNeighbourMixing implements PreAggregation {
  readonly name = "nearest-neighbour-mixing";
  readonly #byzantine: number;

  /**
   * `byzantine`: how many liars it is to withstand, the paper's f
   * @throws AggregationError `aggregation.options`
   */
  constructor({ byzantine }: { readonly byzantine: number }) {
    needWhole("nearest-neighbour-mixing", "byzantine", byzantine, 1);
    this.#byzantine = byzantine;
  }

  prepare(
    updates: readonly Float32Array[],
    weights: readonly number[],
    { math }: AggregationContext,
  ) {
    const f = this.#byzantine;
    needUpdates(this.name, updates.length, 2 * f + 1, `2f + 1 with f = ${f}`);
    const mixed = pairwiseDistances(updates, math).map((row) =>
      average(pick(updates, indicesOfLeast(row, updates.length - f)), math),
    );
    return { updates: mixed, weights };
  }
}

/**
 * Bucketing (Karimireddy, He, Jaggi 2022, algorithm 1): updates are shuffled and averaged `size` at a time, so that what reaches
 * the rule differs less. As many liars can spoil as many buckets: the rule has to withstand them among fewer.
 */
export class Bucketing implements PreAggregation {
  readonly name = "bucketing";
  readonly #size: number;

  /** @throws AggregationError `aggregation.options` */
  constructor({ size }: { readonly size: number }) {
    needWhole("bucketing", "size", size, 2);
    this.#size = size;
  }

  prepare(
    updates: readonly Float32Array[],
    weights: readonly number[],
    { math, random }: AggregationContext,
  ) {
    if (random === undefined)
      throw new AggregationError(
        "aggregation.random",
        "bucketing shuffles and needs chance that all who recompute the round share (context.random)",
      );
    const order = [...updates.keys()];
    // Fisher-Yates.
    for (let last = order.length - 1; last > 0; last--) {
      const other = Math.floor(random.next() * (last + 1));
      const [a = 0, b = 0] = [order[last], order[other]];
      order[last] = b;
      order[other] = a;
    }
    const buckets: { update: Float32Array; weight: number }[] = [];
    for (let from = 0; from < order.length; from += this.#size) {
      const members = order.slice(from, from + this.#size).sort((a, b) => a - b);
      let weight = 0;
      for (const each of pick(weights, members)) weight += each;
      buckets.push({ update: average(pick(updates, members), math), weight });
    }
    return {
      updates: buckets.map(({ update }) => update),
      weights: buckets.map(({ weight }) => weight),
    };
  }
}

/** A rule over what preparations have made of the updates, one after the other. */
export class PreparedAggregation implements Aggregation {
  readonly name: string;
  readonly usesPrevious?: true;
  readonly #preparations: readonly PreAggregation[];
  readonly #rule: Aggregation;

  constructor(preparations: readonly PreAggregation[], rule: Aggregation) {
    this.name = [...preparations, rule].map(({ name }) => name).join(" + ");
    if (rule.usesPrevious === true) this.usesPrevious = true;
    this.#preparations = preparations;
    this.#rule = rule;
  }

  aggregate(
    updates: readonly Float32Array[],
    weights: readonly number[],
    context: AggregationContext,
  ): Float32Array {
    let prepared: ReturnType<PreAggregation["prepare"]> = { updates, weights };
    for (const preparation of this.#preparations)
      prepared = preparation.prepare(prepared.updates, prepared.weights, context);
    // Losses belong to senders; where updates are mixed there are none.
    const { losses: _, ...rest } = context;
    return this.#rule.aggregate(prepared.updates, prepared.weights, rest);
  }
}
