import type { Random } from "../../platform/random.ts";
import type { Samples } from "../../platform/training-backend.ts";
import type { RunControl, RunnableModel } from "../../platform/training-runner.ts";

/** One agent's share of a round of Per-FedAvg. */
export interface MetaStepsPlan {
  readonly steps: number;
  readonly batchSize: number;
  /** Of the step by which agents will make the model their own, α. */
  readonly innerLearningRate: number;
  /** Along the meta-gradient, β. */
  readonly learningRate: number;
}

/**
 * Per-FedAvg (FO) of Fallah, Mokhtari and Ozdaglar 2020 (section 5) on a model in another thread: each step moves the weights by what a
 * gradient step on one batch does after an inner step on another. The second derivative is left out, which for small inner steps
 * costs little (their section 5). Batches are drawn with replacement, as the paper has it.
 * @param start weights to begin with; they are not written to
 * @returns the weights after all steps, and the mean loss after adapting; undefined when it was stopped
 * @throws TrainingError `training.not-finite` when training diverges
 */
export async function metaSteps(
  model: RunnableModel,
  samples: Samples,
  { steps, batchSize, innerLearningRate, learningRate }: MetaStepsPlan,
  start: Float32Array,
  random: Random,
  { signal, onProgress }: RunControl,
): Promise<{ readonly weights: Float32Array; readonly loss: number } | undefined> {
  const weights = start.slice();
  const size = Math.min(batchSize, samples.count);
  const batch = (): Int32Array =>
    Int32Array.from({ length: size }, () => Math.floor(random.next() * samples.count));
  const control = signal === undefined ? {} : { signal };
  let losses = 0;
  for (let step = 0; step < steps; step++) {
    await model.write(weights);
    const inner = { order: batch(), batchSize: size, learningRate: innerLearningRate };
    if (!(await model.train(samples, inner, control)).finished) return undefined;
    const adapted = await model.read();
    const outer = { order: batch(), batchSize: size, learningRate };
    const outcome = await model.train(samples, outer, control);
    if (!outcome.finished) return undefined;
    const moved = await model.read();
    for (let at = 0; at < weights.length; at++)
      weights[at] = (weights[at] ?? 0) + ((moved[at] ?? 0) - (adapted[at] ?? 0));
    losses += outcome.loss;
    onProgress?.({ step: step + 1, steps });
  }
  return { weights, loss: losses / Math.max(1, steps) };
}
