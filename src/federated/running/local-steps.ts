import type { Random } from "../../platform/random.ts";
import type { Samples } from "../../platform/training-backend.ts";
import type { RunControl, RunnableModel } from "../../platform/training-runner.ts";
import { shuffled } from "../data/draw.ts";
import type { TaskSpec } from "../tasks/task-spec.ts";

/** How an agent trains. */
export type LocalClient = Extract<TaskSpec["client"], { kind: "local" }>;

/** @returns how agents train a task @throws Error for what is for the lab */
export function localClient({ client }: Pick<TaskSpec, "client">): LocalClient {
  if (client.kind !== "local") throw new Error(`no agent trains ${client.kind}`);
  return client;
}

/**
 * An agent's share of a round: so many epochs of plain SGD on its own samples (McMahan et al. 2017, algorithm 1, ClientUpdate; with
 * `proximalMu` FedProx, Li et al. 2020).
 * @param how `start`: what is held to, with `proximalMu`; `from`: where it begins, where that is not the same
 * @returns the weights after all steps, and the mean loss of the steps; undefined when it was stopped
 * @throws TrainingError `training.not-finite` when training diverges
 */
export async function localSteps(
  model: RunnableModel,
  train: Samples,
  client: LocalClient,
  how: {
    readonly start: Float32Array;
    readonly from?: Float32Array;
    readonly correction?: Float32Array;
  },
  random: Random,
  { signal, onProgress }: RunControl,
): Promise<{ readonly weights: Float32Array; readonly loss: number } | undefined> {
  const { start, from = start, correction } = how;
  const { epochs, batchSize, learningRate, momentum, weightDecay, clippingNorm, proximalMu } =
    client;
  await model.write(from);
  const seed = Math.floor(random.next() * 2 ** 32);
  const stepsOfEpoch = Math.ceil(train.count / batchSize);
  const velocity = momentum > 0 ? new Float32Array(model.parameterCount) : undefined;
  let losses = 0;
  for (let epoch = 0; epoch < epochs; epoch++) {
    const firstStep = epoch * stepsOfEpoch;
    const order = shuffled(train.count, random);
    const outcome = await model.train(
      train,
      {
        order,
        batchSize,
        learningRate,
        momentum,
        weightDecay,
        dropout: { seed, firstStep },
        ...(velocity !== undefined && { velocity }),
        ...(clippingNorm !== undefined && { clippingNorm }),
        ...(proximalMu > 0 && { proximal: { mu: proximalMu, anchor: start } }),
        ...(correction !== undefined && { correction }),
      },
      {
        ...(signal !== undefined && { signal }),
        onProgress: ({ step }) =>
          onProgress?.({ step: firstStep + step, steps: epochs * stepsOfEpoch }),
      },
    );
    if (!outcome.finished) return undefined;
    losses += outcome.loss;
    velocity?.set(outcome.checkpoint.velocity);
  }
  return { weights: await model.read(), loss: losses / epochs };
}
