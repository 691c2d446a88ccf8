import { ROWS_MAX } from "../../platform/vector-math.ts";
import {
  type Aggregation,
  type AggregationContext,
  AggregationError,
  type Contribution,
} from "./aggregation.ts";

/** The most contributions of one round. */
export const CONTRIBUTIONS_MAX = ROWS_MAX;
/** The most values of one update: 1 GiB. */
export const UPDATE_LENGTH_MAX = 2 ** 28;
/** The most that one contribution may weigh, so that sums of weights stay exact enough. */
export const WEIGHT_MAX = 2 ** 53;

/** What is told besides the contributions; losses come with these. */
export interface AggregateOptions extends Omit<AggregationContext, "losses"> {
  /** How long updates have to be; as long as the first one when absent. */
  readonly length?: number;
}

/**
 * Combines the contributions of a round by a rule, whoever recomputes it: they are put in order of their senders and
 * checked, and the result is checked. The rule sees nothing that is out of order, not finite or of another length.
 *
 * @returns the aggregate, finite and as long as each update
 * @throws AggregationError naming the sender where there is one to blame
 */
export function aggregate(
  rule: Aggregation,
  contributions: readonly Contribution[],
  { length, ...context }: AggregateOptions,
): Float32Array {
  const ordered = inCanonicalOrder(contributions);
  checkShape(ordered, length);
  const updates = ordered.map(({ values }) => values);
  if (rule.showsNotFinite !== true) checkFinite(ordered, context);
  const losses = ordered.flatMap(({ loss }) => (loss === undefined ? [] : [loss]));
  const weights = ordered.map(({ weight }) => weight);
  const all = losses.length === ordered.length ? { ...context, losses } : context;
  let result: Float32Array;
  try {
    result = rule.aggregate(updates, weights, all);
  } catch (error) {
    if (rule.showsNotFinite === true) checkFinite(ordered, context);
    throw error;
  }
  checkResult(rule, ordered, result, context);
  return result;
}

/**
 * @returns the contributions by their senders' names, in the order of UTF-16 code units
 * @throws AggregationError `aggregation.sender` for a name that is empty or comes twice
 */
export function inCanonicalOrder(contributions: readonly Contribution[]): Contribution[] {
  const ordered = [...contributions].sort((a, b) =>
    a.sender < b.sender ? -1 : a.sender > b.sender ? 1 : 0,
  );
  for (const [index, { sender }] of ordered.entries()) {
    if (sender === "")
      throw new AggregationError("aggregation.sender", "a contribution has no sender");
    if (sender === ordered[index + 1]?.sender)
      throw new AggregationError(
        "aggregation.sender",
        `${sender} contributed twice to one round; one contribution of each sender counts`,
        sender,
      );
  }
  return ordered;
}

function checkShape(ordered: readonly Contribution[], wanted: number | undefined): void {
  const [first] = ordered;
  if (first === undefined)
    throw new AggregationError("aggregation.no-updates", "nobody contributed to the round");
  if (ordered.length > CONTRIBUTIONS_MAX)
    throw new AggregationError(
      "aggregation.too-large",
      `${ordered.length} contributions are more than ${CONTRIBUTIONS_MAX} (CONTRIBUTIONS_MAX); choose fewer clients a round`,
    );
  const length = wanted ?? first.values.length;
  if (length > UPDATE_LENGTH_MAX)
    throw new AggregationError(
      "aggregation.too-large",
      `updates of ${length} values are longer than ${UPDATE_LENGTH_MAX} (UPDATE_LENGTH_MAX)`,
    );
  if (length < 1) throw new AggregationError("aggregation.length", "updates have no values");
  for (const { sender, values, weight } of ordered) {
    if (values.length !== length)
      throw new AggregationError(
        "aggregation.length",
        `the update of ${sender} has ${values.length} values where ${wanted === undefined ? `that of ${first.sender}` : "the model"} has ${length}`,
        sender,
      );
    if (!(weight > 0 && weight <= WEIGHT_MAX))
      throw new AggregationError(
        "aggregation.weight",
        `the weight of ${sender} is ${weight}; it has to be above 0 and at most 2^53`,
        sender,
      );
  }
}

function checkFinite(
  ordered: readonly Contribution[],
  { math }: Pick<AggregationContext, "math">,
): void {
  const guilty = ordered[math.firstNotFinite(ordered.map(({ values }) => values))];
  if (guilty === undefined) return;
  const at = guilty.values.findIndex((value) => !Number.isFinite(value));
  throw new AggregationError(
    "aggregation.not-finite",
    `the update of ${guilty.sender} holds ${guilty.values[at]} at ${at}; leave this contribution out`,
    guilty.sender,
  );
}

function checkResult(
  rule: Aggregation,
  ordered: readonly Contribution[],
  result: Float32Array,
  context: AggregationContext,
): void {
  const length = ordered[0]?.values.length ?? 0;
  if (result.length !== length)
    throw new AggregationError(
      "aggregation.length",
      `the rule ${rule.name} gave ${result.length} values for updates of ${length}`,
    );
  if (context.math.firstNotFinite([result]) === -1) return;
  if (rule.showsNotFinite === true) checkFinite(ordered, context);
  throw new AggregationError(
    "aggregation.overflow",
    `the rule ${rule.name} left the range of float32; the updates are too large for it`,
  );
}
