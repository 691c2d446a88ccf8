import type { Random } from "../../platform/random.ts";
import type {
  Samples,
  TrainableModel,
  TrainPlan,
  TrainReport,
} from "../../platform/training-backend.ts";
import type { ClientSamples } from "../clients/local-update.ts";
import { rowsAt } from "../data/rows.ts";
import { type MetaOptions, metaGradient } from "./meta-gradient.ts";

/** One client's share of a round that looks for weights from which every client adapts well. */
export interface MetaPlan extends MetaOptions {
  /** Steps along the meta-gradient in this round. */
  readonly steps: number;
  /** By which a client is expected to adapt: 1 is Per-FedAvg, more is MAML. */
  readonly innerSteps: number;
  readonly batchSize: number;
  /** Of the steps along the meta-gradient. */
  readonly learningRate: number;
}

/**
 * A client's local work of Per-FedAvg (Fallah, Mokhtari and Ozdaglar 2020, algorithm 1): steps along the gradient of the loss
 * after adapting, each with fresh batches for adapting, for judging and, with one inner step, for the Hessian. The server takes
 * the plain mean of the results: a client with many samples counts as much as one with few.
 * @throws TrainingError as {@link metaGradient}
 */
export function metaTrain(
  model: TrainableModel,
  { samples, places }: ClientSamples,
  plan: MetaPlan,
  random: Random,
): TrainReport {
  const gradient = new Float32Array(model.parameterCount);
  const weights = new Float32Array(model.parameterCount);
  const hasStatistics = model.layout.some(({ role }) => role === "statistics");
  const batch = (): Samples => {
    const count = Math.min(plan.batchSize, places.length);
    // With replacement, as the paper has it.
    const drawn = Int32Array.from(
      { length: count },
      () => places[Math.floor(random.next() * places.length)] ?? 0,
    );
    return {
      count,
      features: rowsAt(samples.features, samples.count, drawn),
      targets: rowsAt(samples.targets, samples.count, drawn),
    };
  };
  let loss = 0;
  for (let step = 0; step < plan.steps; step++) {
    const inner = Array.from({ length: plan.innerSteps }, batch);
    const outer = batch();
    const drawsAnew = plan.order === "hessian-free" && plan.innerSteps === 1;
    const curved = drawsAnew ? [batch()] : inner;
    loss += metaGradient(model, inner, outer, plan, gradient, curved) / plan.steps;
    model.read(weights);
    for (let at = 0; at < weights.length; at++)
      weights[at] = (weights[at] ?? 0) - plan.learningRate * (gradient[at] ?? 0);
    model.write(weights);
    // A gradient leaves statistics as they are, and with those that it was built with a model is no good to anybody.
    if (hasStatistics) model.train(outer, standing(outer.count));
  }
  return { steps: plan.steps, loss };
}

/** A step that goes nowhere: what passes through moves the statistics of normalisation, and nothing else. */
function standing(count: number): TrainPlan {
  const order = Int32Array.from({ length: count }, (_, at) => at);
  return { order, batchSize: count, learningRate: 0 };
}
