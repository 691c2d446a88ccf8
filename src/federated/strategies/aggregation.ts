import type { Random } from "../../platform/random.ts";
import type { VectorMath } from "../../platform/vector-math.ts";

/** What one sender brings to a round. */
export interface Contribution {
  /** Unique within the round. Contributions are put in the order of these (UTF-16 code units) before anything is summed. */
  readonly sender: string;
  /** The difference between the model after training and the one it began with; or a gradient, or a momentum. */
  readonly values: Float32Array;
  /** How much it counts where a rule weighs, as a rule the number of samples; above zero. */
  readonly weight: number;
  /** Mean loss of the model it began with on the sender's samples; rules that want it say so. */
  readonly loss?: number;
}

/** What a rule may use besides the updates. */
export interface AggregationContext {
  readonly math: VectorMath;
  /** What the rule gave in the round before; absent in the first. */
  readonly previous?: Float32Array;
  /** {@link Contribution.loss} of each update, when every sender told it. */
  readonly losses?: readonly number[];
  /** Chance that all who recompute the round share, seeded by what they agreed on; rules that draw want it. */
  readonly random?: Random;
}

/**
 * Makes one update of many: the interface for a rule of one's own. Called through `aggregate`, a rule gets checked input:
 * at least one update, all of one length and finite, in canonical order, weights above zero. It must not write into them.
 * A rule keeps nothing between calls, so that whoever recomputes a round gets the same bits.
 */
export interface Aggregation {
  readonly name: string;
  /** Asks for {@link AggregationContext.previous}, which then belongs to the state of the task. */
  readonly usesPrevious?: true;
  /**
   * NaN or an infinity in any update makes it throw or its result not finite, whatever the others are, as in a weighted sum. Then
   * `aggregate` looks through the updates only after that, and not before, which for a mean would take as long as the mean itself.
   */
  readonly showsNotFinite?: true;
  /** @throws AggregationError for what this rule can not take */
  aggregate(
    updates: readonly Float32Array[],
    weights: readonly number[],
    context: AggregationContext,
  ): Float32Array;
}

/** Works on the updates before a rule does: fewer, or other ones. It composes with any rule. */
export interface PreAggregation {
  readonly name: string;
  /** @throws AggregationError for what it can not take */
  prepare(
    updates: readonly Float32Array[],
    weights: readonly number[],
    context: AggregationContext,
  ): { readonly updates: readonly Float32Array[]; readonly weights: readonly number[] };
}

/** Why updates were not combined; `code` is stable, `message` names what was wrong and what would do. */
export class AggregationError extends Error {
  override readonly name = "AggregationError";
  readonly code:
    | "aggregation.no-updates"
    | "aggregation.too-large"
    | "aggregation.length"
    | "aggregation.not-finite"
    | "aggregation.weight"
    | "aggregation.sender"
    | "aggregation.too-few"
    | "aggregation.losses"
    | "aggregation.random"
    | "aggregation.options"
    | "aggregation.state"
    | "aggregation.overflow";
  /** Whose contribution is to blame, where one is. */
  readonly sender?: string;
  constructor(code: AggregationError["code"], message: string, sender?: string) {
    super(message);
    this.code = code;
    if (sender !== undefined) this.sender = sender;
  }
}
