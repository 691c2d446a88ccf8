import type { Samples } from "../../platform/training-backend.ts";
import type { RunnableModel } from "../../platform/training-runner.ts";
import { DataError } from "../data/data-error.ts";
import { median } from "../streams/normalization.ts";

/** What answers for windows; a `RunnableModel` does. */
export type Predictor = Pick<RunnableModel, "predict">;

/** Windows that are predicted at once, so that a long hold-out does not take as much memory again. */
const BATCH = 256;
/** The most thresholds that are combined. */
const THRESHOLDS_MAX = 1_024;

/**
 * How wrong a model is about each sample: the mean square of what its answer differs by, and with classes what its answer
 * leaves for all but the right one, from 0 to 1.
 */
export async function errorsOf(model: Predictor, samples: Samples): Promise<Float32Array> {
  const { count, features, targets } = samples;
  const errors = new Float32Array(count);
  const size = features.length / Math.max(1, count);
  for (let from = 0; from < count; from += BATCH) {
    const many = Math.min(BATCH, count - from);
    const answers = await model.predict(features.subarray(from * size, (from + many) * size), many);
    const outputs = answers.length / many;
    for (let at = 0; at < many; at++) {
      const answer = answers.subarray(at * outputs, (at + 1) * outputs);
      errors[from + at] =
        targets instanceof Int32Array
          ? shareOfOthers(answer, targets[from + at] as number)
          : meanSquare(answer, targets, (from + at) * outputs);
    }
  }
  return errors;
}

/** @returns mean of the squares of differences; Infinity where one is not finite */
export function meanSquare(answer: Float32Array, targets: Float32Array, from: number): number {
  let sum = 0;
  for (let at = 0; at < answer.length; at++) {
    const difference = (answer[at] as number) - (targets[from + at] as number);
    sum += difference * difference;
  }
  const mean = sum / answer.length;
  return Number.isFinite(mean) ? mean : Number.POSITIVE_INFINITY;
}

/** @param logits of all classes @returns softmax of all but one; 1 where an answer is not finite */
export function shareOfOthers(logits: Float32Array, one: number): number {
  const most = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - most);
  const share = 1 - Math.exp((logits[one] ?? Number.NEGATIVE_INFINITY) - most) / sum;
  return Number.isFinite(share) ? share : 1;
}

/**
 * The error that so large a share of those held out stays at or below (nearest rank), times a margin.
 *
 * @param quantile above 0 up to 1
 * @throws DataError `data.setting` without errors, or where one is not finite
 */
export function thresholdOf(
  errors: Float32Array,
  { quantile, margin }: { readonly quantile: number; readonly margin: number },
): number {
  const sorted = errors.toSorted();
  const value = sorted[Math.max(0, Math.ceil(quantile * sorted.length) - 1)];
  if (value === undefined)
    throw new DataError(
      "data.setting",
      "no window is held out: the history is too short for a threshold",
    );
  if (!Number.isFinite(value))
    throw new DataError("data.setting", "the model's answers are not finite: it can not be served");
  return value * margin;
}

/**
 * A threshold for all from the thresholds that agents found: their median, so that fewer than half of them can not make the others
 * deaf or nervous. What is not a number above 0 does not count.
 *
 * @returns undefined when nobody told one
 */
export function agreeThreshold(told: readonly number[]): number | undefined {
  const usable = told
    .slice(0, THRESHOLDS_MAX)
    .filter((value) => value > 0 && value < Number.POSITIVE_INFINITY);
  return usable.length === 0 ? undefined : median(usable);
}
