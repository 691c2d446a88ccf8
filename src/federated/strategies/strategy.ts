import type { Random } from "../../platform/random.ts";
import type { VectorMath } from "../../platform/vector-math.ts";
import { type AggregateOptions, aggregate } from "./aggregate.ts";
import { type Aggregation, AggregationError, type Contribution } from "./aggregation.ts";
import type { Moments, ServerOptimizer } from "./server/server-optimizer.ts";

/** All that a strategy remembers from round to round. It is a value: keep it, send it, go back to an older one. */
export interface StrategyState {
  /** Rounds that are over. */
  readonly round: number;
  /** The aggregate of the last round, for rules that ask for it. */
  readonly previous?: Float32Array;
  readonly moments: Moments;
}

/** What came of a round. */
export interface StrategyStep {
  readonly model: Float32Array;
  /** What the rule made of the contributions, before the server's optimiser. */
  readonly aggregate: Float32Array;
  readonly state: StrategyState;
}

/**
 * A rule that makes one update of many, and a server optimiser that moves the model by it. Any rule goes with any optimiser.
 * Pure: the same model, contributions and state give the same bits wherever they are put together.
 */
export class Strategy {
  readonly name: string;
  readonly #rule: Aggregation;
  readonly #server: ServerOptimizer;

  constructor(rule: Aggregation, server: ServerOptimizer) {
    this.name = `${rule.name}, ${server.name}`;
    this.#rule = rule;
    this.#server = server;
  }

  /** @returns the state before the first round of a model of so many parameters */
  begin(length: number): StrategyState {
    return { round: 0, moments: this.#server.begin(length) };
  }

  /**
   * The rule alone, where there is no model to move: logits to distil from, variates of SCAFFOLD.
   * @throws AggregationError when the contributions can not be combined
   */
  combine(contributions: readonly Contribution[], options: AggregateOptions): Float32Array {
    return aggregate(this.#rule, contributions, options);
  }

  /**
   * One round.
   * @throws AggregationError when the contributions can not be combined, the state is of another model, or the new model would not be
   * finite; nothing has changed then
   */
  step(
    model: Float32Array,
    contributions: readonly Contribution[],
    state: StrategyState,
    context: { readonly math: VectorMath; readonly random?: Random },
  ): StrategyStep {
    const { previous } = state;
    const kept = Object.entries({ ...state.moments, ...(previous && { previous }) });
    for (const [name, vector] of kept)
      if (vector.length !== model.length)
        throw new AggregationError(
          "aggregation.state",
          `${name} of the strategy's state has ${vector.length} values where the model has ${model.length}; begin anew`,
        );
    const update = this.combine(contributions, {
      ...context,
      ...(this.#rule.usesPrevious && previous && { previous }),
      length: model.length,
    });
    const moved = this.#server.step(model, update, state.moments);
    const results = [moved.model, ...Object.values(moved.moments)];
    if (context.math.firstNotFinite(results) !== -1)
      throw new AggregationError(
        "aggregation.overflow",
        `the step of ${this.#server.name} left the range of float32; lower its learningRate`,
      );
    return {
      model: moved.model,
      aggregate: update,
      state: {
        round: state.round + 1,
        ...(this.#rule.usesPrevious && { previous: update }),
        moments: moved.moments,
      },
    };
  }
}
