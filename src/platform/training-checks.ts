import { type ModelSpec, type Samples, TrainingError, type TrainPlan } from "./training-backend.ts";
import type { ModelLayout } from "./training-layout.ts";

/**
 * @param order which samples are looked at; all of them unless given
 * @throws TrainingError `training.samples` naming what does not fit the model
 */
export function checkSamples(
  spec: ModelSpec,
  layout: ModelLayout,
  { count, features, targets }: Samples,
  order?: Int32Array,
): void {
  checkFeatures(spec, layout, features, count, order);
  const hasClasses = spec.loss === "softmax-cross-entropy";
  const wanted = hasClasses ? count : count * layout.outputSize;
  if (targets.length !== wanted)
    throw refusal(`${count} samples have ${wanted} targets, not ${targets.length}`);
  if (!hasClasses) return;
  for (let at = 0; at < (order?.length ?? count); at++) {
    const sample = order?.[at] ?? at;
    const target = targets[sample] ?? -1;
    if (!Number.isInteger(target) || target < 0 || target >= layout.outputSize)
      throw refusal(
        `sample ${sample} is of class ${target}; the model has ${layout.outputSize} outputs`,
      );
  }
}

/** @throws TrainingError `training.samples` naming what does not fit the model */
export function checkFeatures(
  spec: ModelSpec,
  layout: ModelLayout,
  features: Float32Array,
  count: number,
  order?: Int32Array,
): void {
  if (!Number.isSafeInteger(count) || count < 1) throw refusal("there are no samples");
  const { inputSize } = layout;
  if (features.length !== count * inputSize)
    throw refusal(`${count} samples have ${count * inputSize} features, not ${features.length}`);
  for (let at = 0; at < (order?.length ?? 0); at++) {
    const sample = order?.[at] ?? 0;
    if (sample < 0 || sample >= count)
      throw refusal(`order: there is no sample ${sample} among ${count}`);
  }
  const [first] = spec.layers;
  if (first?.kind !== "embedding") return;
  for (let at = 0; at < (order?.length ?? count); at++) {
    const sample = order?.[at] ?? at;
    for (let place = sample * inputSize; place < (sample + 1) * inputSize; place++) {
      const word = features[place] ?? -1;
      if (!Number.isInteger(word) || word < 0 || word >= first.vocabulary)
        throw refusal(
          `sample ${sample}: ${word} is not a whole number from 0 below the vocabulary, ${first.vocabulary}`,
        );
    }
  }
}

/** @throws TrainingError `training.samples` for lengths, `training.model` for numbers that can not be used */
export function checkPlan(plan: TrainPlan, parameterCount: number): void {
  const { order, batchSize, learningRate, momentum = 0, weightDecay = 0, dropout } = plan;
  if (order.length < 1) throw refusal("order: there are no samples in it");
  if (!Number.isSafeInteger(batchSize) || batchSize < 1)
    throw refusal(`batchSize: a whole number above 0, not ${batchSize}`);
  if (!(learningRate >= 0) || !Number.isFinite(learningRate))
    throw setting(`learningRate: a number from 0, not ${learningRate}`);
  if (!(momentum >= 0 && momentum < 1))
    throw setting(`momentum: from 0 to below 1, not ${momentum}`);
  if (!(weightDecay >= 0) || !Number.isFinite(weightDecay))
    throw setting(`weightDecay: a number from 0, not ${weightDecay}`);
  if (plan.clippingNorm !== undefined && !(plan.clippingNorm > 0))
    throw setting(`clippingNorm: a number above 0, not ${plan.clippingNorm}`);
  const mu = plan.proximal?.mu ?? 0;
  if (!(mu >= 0) || !Number.isFinite(mu)) throw setting(`proximal.mu: a number from 0, not ${mu}`);
  for (const [name, value] of [
    ["seed", dropout?.seed ?? 0],
    ["firstStep", dropout?.firstStep ?? 0],
  ] as const)
    if (!Number.isSafeInteger(value) || value < 0 || value >= 2 ** 32)
      throw setting(`dropout.${name}: a whole number from 0 below 2^32, not ${value}`);
  for (const [name, array] of [
    ["velocity", plan.velocity],
    ["proximal.anchor", plan.proximal?.anchor],
    ["correction", plan.correction],
  ] as const)
    if (array !== undefined) checkLength(name, array, parameterCount);
}

/** @throws TrainingError `training.samples` when `array` is not as long as the model has parameters */
export function checkLength(name: string, array: Float32Array, parameterCount: number): void {
  if (array.length !== parameterCount)
    throw refusal(`${name}: the model has ${parameterCount} parameters, not ${array.length}`);
}

/** @throws TrainingError `training.not-finite` naming the parameter that is NaN or infinite */
export function checkFinite(name: string, values: Float32Array, layout: ModelLayout): void {
  // Before each write of weights: a closure for every value would take a fifth of a small model's time.
  let at = 0;
  while (at < values.length && Number.isFinite(values[at])) at++;
  if (at === values.length) return;
  const parameter = layout.parameters.findLast(({ offset }) => offset <= at);
  throw new TrainingError(
    "training.not-finite",
    `${name}: parameter ${at} (${parameter?.name ?? "?"}) is ${values[at]}`,
  );
}

function refusal(what: string): TrainingError {
  return new TrainingError("training.samples", what);
}

function setting(what: string): TrainingError {
  return new TrainingError("training.model", what);
}
