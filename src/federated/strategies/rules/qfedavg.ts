import { type Aggregation, type AggregationContext, AggregationError } from "../aggregation.ts";
import { power } from "../elementary.ts";
import { needPositive } from "../helpers.ts";

/** Keeps powers with a negative exponent finite where a loss is zero. */
const LOSS_LEAST = 1e-10;

/**
 * q-FedAvg (Li, Sanjabi, Beirami, Smith 2020, algorithm 2): those with a high loss count more, so that nobody is left
 * behind. With L = 1 / `learningRate` the result is Σ Fₖ^q L uₖ / Σ (q Fₖ^(q−1) ‖L uₖ‖² + L Fₖ^q), for updates uₖ and losses Fₖ of
 * the model they began with; q = 0 gives the plain mean. Losses are the senders' own word: it does not withstand liars.
 */
export class QFedAvg implements Aggregation {
  readonly name = "qfedavg";
  readonly showsNotFinite = true;
  readonly #q: number;
  readonly #inverseRate: number;

  /**
   * `q`: how fair: 0 for the mean, 5 for much; above 0 and at most 100 otherwise
   * `learningRate`: of the clients
   * @throws AggregationError `aggregation.options`
   */
  constructor({ q, learningRate }: { readonly q: number; readonly learningRate: number }) {
    needPositive("qfedavg", "learningRate", learningRate);
    if (!(q >= 0 && q <= 100))
      throw new AggregationError(
        "aggregation.options",
        `q of qfedavg is ${q}; it has to be from 0 to 100`,
      );
    this.#q = q;
    this.#inverseRate = 1 / learningRate;
  }

  aggregate(
    updates: readonly Float32Array[],
    _weights: readonly number[],
    { math, losses }: AggregationContext,
  ): Float32Array {
    if (losses?.length !== updates.length || !losses.every((loss) => loss >= 0 && loss < Infinity))
      throw new AggregationError(
        "aggregation.losses",
        "qfedavg needs the loss of each contribution, a finite number of at least 0",
      );
    const lengths = math.squaredDistancesTo(updates, new Float32Array(updates[0]?.length ?? 0));
    // Only ratios of losses matter to the sum, so those of the greatest are taken: no power overflows.
    const greatest = Math.max(LOSS_LEAST, ...losses);
    const factors = losses.map((loss) => power(Math.max(loss, LOSS_LEAST) / greatest, this.#q));
    let divisor = 0;
    for (const [index, factor] of factors.entries()) {
      const square = this.#inverseRate * this.#inverseRate * (lengths[index] ?? 0);
      const loss = Math.max(losses[index] ?? 0, LOSS_LEAST);
      divisor += (this.#q * factor * square) / loss + this.#inverseRate * factor;
    }
    return math.weightedSum(
      updates,
      factors.map((factor) => (factor * this.#inverseRate) / divisor),
    );
  }
}
