import type { Random } from "../../platform/random.ts";
import type { Samples, TrainableModel, TrainPlan } from "../../platform/training-backend.ts";
import { shuffle } from "../data/draw.ts";

/** How a client trains before it reports. */
export interface LocalTraining {
  /** Passes over its own samples. */
  readonly epochs: number;
  readonly batchSize: number;
  readonly learningRate: number;
  readonly momentum?: number;
  readonly weightDecay?: number;
  readonly clippingNorm?: number;
  /** FedProx' pull back to the model it began with (Li et al. 2020, equation 2); 0 is FedAvg. */
  readonly proximalMu?: number;
}

/** The samples of one client: some of all. */
export interface ClientSamples {
  readonly samples: Samples;
  /** Which of them are the client's; at least one. */
  readonly places: Int32Array;
}

/** What a client reports. */
export interface LocalUpdate {
  /** The model after training less the one it began with. */
  readonly delta: Float32Array;
  readonly samples: number;
  readonly steps: number;
  /** Mean over the steps, each as it was before it. */
  readonly loss: number;
}

/**
 * One round of a client: stochastic gradient descent from the global model on over its own samples, shuffled anew for each
 * epoch (McMahan et al. 2017, algorithm 1, ClientUpdate), with FedProx' term where `proximalMu` is above zero.
 *
 * @param model anything may be in it; the client's own model is in it afterwards
 * @param correction added to each gradient: SCAFFOLD's
 * @throws TrainingError `training.not-finite` when training diverges
 */
export function localUpdate(
  model: TrainableModel,
  global: Float32Array,
  { samples, places }: ClientSamples,
  training: LocalTraining,
  random: Random,
  correction?: Float32Array,
): LocalUpdate {
  model.write(global);
  const { epochs, batchSize, learningRate, momentum = 0, proximalMu = 0 } = training;
  const velocity = momentum > 0 ? new Float32Array(model.parameterCount) : undefined;
  const seed = Math.floor(random.next() * 2 ** 32);
  let steps = 0;
  let losses = 0;
  for (let epoch = 0; epoch < epochs; epoch++) {
    const plan: TrainPlan = {
      order: shuffle(places.slice(), random),
      batchSize,
      learningRate,
      momentum,
      dropout: { seed, firstStep: steps },
      ...(velocity !== undefined && { velocity }),
      ...(training.weightDecay !== undefined && { weightDecay: training.weightDecay }),
      ...(training.clippingNorm !== undefined && { clippingNorm: training.clippingNorm }),
      ...(proximalMu > 0 && { proximal: { mu: proximalMu, anchor: global } }),
      ...(correction !== undefined && { correction }),
    };
    const report = model.train(samples, plan);
    steps += report.steps;
    losses += report.loss * report.steps;
  }
  const delta = new Float32Array(model.parameterCount);
  model.read(delta);
  for (let at = 0; at < delta.length; at++)
    delta[at] = (delta[at] as number) - (global[at] as number);
  return { delta, samples: places.length, steps, loss: losses / Math.max(1, steps) };
}
