import type {
  Samples,
  TrainableModel,
  TrainPlan,
  TrainReport,
} from "../../platform/training-backend.ts";

/** How a client trains the model that it keeps for itself. */
export interface DittoPlan extends Omit<TrainPlan, "proximal"> {
  /** How strongly the client's own model is held to the global one: 0 trains alone, large ones are the global model. */
  readonly lambda: number;
}

/**
 * A client's own model of Ditto (Li, Hu, Beirami and Smith 2021, algorithm 1): trained on its samples with a pull of `lambda`
 * towards the global model. It is never sent, so a robust rule on the global ones and fairness to this client do not stand
 * in each other's way.
 * @param global weights of the global model as the round began
 * @param personal the client's own weights: read and written
 * @throws TrainingError as `train`; `personal` is then as it was
 */
export function trainDitto(
  model: TrainableModel,
  samples: Samples,
  { lambda, ...plan }: DittoPlan,
  global: Float32Array,
  personal: Float32Array,
): TrainReport {
  model.write(personal);
  const report = model.train(samples, { ...plan, proximal: { mu: lambda, anchor: global } });
  model.read(personal);
  return report;
}
