import type {
  ModelSpec,
  TrainableModel,
  TrainPlan,
  TrainReport,
} from "../../platform/training-backend.ts";

/**
 * Answers of a model as they are compared with those of others: without what all classes of a sample have in common, which a
 * softmax does not see and each architecture has in its own way.
 * @param logits `classes` for each sample
 */
export function centredLogits(logits: Float32Array, classes: number): Float32Array {
  const centred = new Float32Array(logits.length);
  for (let from = 0; from < logits.length; from += classes) {
    let mean = 0;
    for (let at = from; at < from + classes; at++) mean += (logits[at] ?? 0) / classes;
    for (let at = from; at < from + classes; at++) centred[at] = (logits[at] ?? 0) - mean;
  }
  return centred;
}

/** @returns the same layers, to be taught: by regression on logits */
export function studentOf(spec: ModelSpec): ModelSpec {
  return { ...spec, loss: "mean-squared-error" };
}

/**
 * Teaches a model of any architecture what others answered on a transfer set, by regression on their logits (Ba and Caruana
 * 2014, section 2.2). Models need not have a single parameter in common: what travels between agents are answers
 * (FedMD, Li and Wang 2019), which a robust rule can combine like updates.
 * @param student built of {@link studentOf}: anything may be in it, its weights are in it afterwards
 * @param weights of the model that learns: read and written
 * @param taught the combined answers, as {@link centredLogits} gives them: `count` times the classes
 * @throws TrainingError as `train`; `weights` are then as they were
 */
export function distil(
  student: TrainableModel,
  weights: Float32Array,
  features: Float32Array,
  taught: { readonly count: number; readonly logits: Float32Array },
  plan: TrainPlan,
): TrainReport {
  student.write(weights);
  const report = student.train({ count: taught.count, features, targets: taught.logits }, plan);
  student.read(weights);
  return report;
}
