import type { Scalar, Tensor, Variable } from "@tensorflow/tfjs-core";
import type { LayersModel } from "@tensorflow/tfjs-layers";
import {
  type Evaluation,
  type ModelSpec,
  type ParameterInfo,
  type Samples,
  type TrainableModel,
  TrainingError,
  type TrainPlan,
  type TrainReport,
} from "../training-backend.ts";
import {
  checkFeatures,
  checkFinite,
  checkLength,
  checkPlan,
  checkSamples,
} from "../training-checks.ts";
import { type ModelLayout, sizeOf } from "../training-layout.ts";
import { GradientStep } from "./gradient-step.ts";
import type { TensorFlow } from "./library.ts";
import type { DropoutPass } from "./seeded-dropout.ts";

/** Samples that pass at once where nothing is trained. */
const INFERENCE_SAMPLES = 256;

/** What a model is made of. */
export interface TensorFlowModelParts {
  readonly spec: ModelSpec;
  readonly layout: ModelLayout;
  readonly model: LayersModel;
  readonly dropout: DropoutPass;
}

/** A layers model of TensorFlow.js behind the seam. */
export class TensorFlowModel implements TrainableModel {
  readonly spec: ModelSpec;
  readonly #tf: TensorFlow;
  readonly #layout: ModelLayout;
  readonly #model: LayersModel;
  readonly #dropout: DropoutPass;
  /** In the order of the layout. */
  readonly #variables: readonly Variable[];
  readonly #run: <T>(work: () => T) => T;
  readonly #onDispose: () => void;
  #disposed = false;

  /** @param run makes the library work where this model lives, and says in an error which operation is missing there */
  constructor(
    tf: TensorFlow,
    { spec, layout, model, dropout }: TensorFlowModelParts,
    run: <T>(work: () => T) => T,
    onDispose: () => void,
  ) {
    this.spec = spec;
    this.#tf = tf;
    this.#layout = layout;
    this.#model = model;
    this.#dropout = dropout;
    this.#run = run;
    this.#onDispose = onDispose;
    this.#variables = model.layers.flatMap((layer) =>
      layer.weights.map((weight) => weight.read() as Variable),
    );
  }

  get layout(): readonly ParameterInfo[] {
    return this.#layout.parameters;
  }

  get parameterCount(): number {
    return this.#layout.parameterCount;
  }

  read(into: Float32Array): void {
    this.#checkAlive();
    checkLength("into", into, this.parameterCount);
    this.#run(() =>
      this.#eachVariable((variable, info) => into.set(variable.dataSync(), info.offset)),
    );
  }

  write(from: Float32Array): void {
    this.#checkAlive();
    checkLength("from", from, this.parameterCount);
    checkFinite("weights", from, this.#layout);
    this.#run(() => this.#assign(from, () => true));
  }

  gradient(samples: Samples, into: Float32Array): number {
    this.#checkAlive();
    checkLength("into", into, this.parameterCount);
    checkSamples(this.spec, this.#layout, samples);
    return this.#run(() => {
      const weights = new Float32Array(this.parameterCount);
      this.read(weights);
      const loss = this.#lossGradient(samples, undefined, 0, samples.count, into);
      this.#assign(weights, ({ role }) => role === "statistics");
      return loss;
    });
  }

  train(samples: Samples, plan: TrainPlan): TrainReport {
    this.#checkAlive();
    checkPlan(plan, this.parameterCount);
    checkSamples(this.spec, this.#layout, samples, plan.order);
    const { order, dropout } = plan;
    const batchSize = Math.min(plan.batchSize, order.length);
    const steps = Math.ceil(order.length / batchSize);
    const before = new Float32Array(this.parameterCount);
    this.read(before);
    const weights = before.slice();
    const gradient = new Float32Array(this.parameterCount);
    const step = new GradientStep(plan, this.layout, this.parameterCount);
    const refuse = (what: string, at: number): never => {
      this.write(before);
      throw new TrainingError(
        "training.not-finite",
        `step ${at}: ${what}; the learning rate may be too high`,
      );
    };
    let sum = 0;
    this.#run(() => {
      for (let at = 0; at < steps; at++) {
        const from = at * batchSize;
        const count = Math.min(batchSize, order.length - from);
        const pass = { isOn: true, seed: dropout?.seed ?? 0, step: (dropout?.firstStep ?? 0) + at };
        Object.assign(this.#dropout, pass);
        const loss = this.#lossGradient(samples, order, from, count, gradient);
        this.#dropout.isOn = false;
        if (!Number.isFinite(loss)) refuse(`the loss is ${loss}`, at);
        step.apply(weights, gradient);
        this.#assign(weights, ({ role }) => role !== "statistics");
        sum += loss;
      }
    });
    if (!weights.every((weight) => Number.isFinite(weight)))
      refuse("a weight is not finite", steps - 1);
    step.end();
    return { steps, loss: sum / steps };
  }

  evaluate(samples: Samples): Evaluation {
    this.#checkAlive();
    checkSamples(this.spec, this.#layout, samples);
    const { count } = samples;
    let sum = 0;
    let hits = 0;
    for (let from = 0; from < count; from += INFERENCE_SAMPLES) {
      const some = Math.min(INFERENCE_SAMPLES, count - from);
      const outputs = this.#run(() =>
        this.#tf.tidy(() => {
          const { x, y } = this.#batch(samples, undefined, from, some);
          const result = this.#model.apply(x, { training: false }) as Tensor;
          sum += some * (this.#loss(result, y).dataSync()[0] ?? Number.NaN);
          return result.dataSync();
        }),
      );
      if (this.spec.loss === "softmax-cross-entropy")
        hits += countHits(outputs, samples.targets.subarray(from, from + some));
    }
    const loss = sum / count;
    return this.spec.loss === "softmax-cross-entropy"
      ? { count, loss, accuracy: hits / count }
      : { count, loss };
  }

  predict(features: Float32Array, count: number): Float32Array {
    this.#checkAlive();
    checkFeatures(this.spec, this.#layout, features, count);
    const { inputSize, outputSize } = this.#layout;
    const outputs = new Float32Array(count * outputSize);
    for (let from = 0; from < count; from += INFERENCE_SAMPLES) {
      const some = Math.min(INFERENCE_SAMPLES, count - from);
      const part = features.slice(from * inputSize, (from + some) * inputSize);
      this.#run(() =>
        this.#tf.tidy(() => {
          const x = this.#tf.tensor(part, [some, ...this.spec.inputShape]);
          const result = this.#model.apply(x, { training: false }) as Tensor;
          outputs.set(result.dataSync(), from * outputSize);
        }),
      );
    }
    return outputs;
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#run(() => this.#model.dispose());
    this.#onDispose();
  }

  /** @returns the mean loss; statistics move */
  #lossGradient(
    samples: Samples,
    order: Int32Array | undefined,
    from: number,
    count: number,
    into: Float32Array,
  ): number {
    const tf = this.#tf;
    const trained = this.#variables.filter((_, at) => this.layout[at]?.role !== "statistics");
    return tf.tidy(() => {
      const { x, y } = this.#batch(samples, order, from, count);
      const { value, grads } = tf.variableGrads(
        () => this.#loss(this.#model.apply(x, { training: true }) as Tensor, y),
        [...trained],
      );
      into.fill(0);
      this.#eachVariable((variable, info) => {
        const slope = grads[variable.name];
        if (slope !== undefined) into.set(slope.dataSync(), info.offset);
      });
      return value.dataSync()[0] ?? Number.NaN;
    });
  }

  #loss(outputs: Tensor, targets: Tensor): Scalar {
    const { losses } = this.#tf;
    if (this.spec.loss === "softmax-cross-entropy")
      return losses.softmaxCrossEntropy<Tensor, Scalar>(targets, outputs);
    if (this.spec.loss === "sigmoid-cross-entropy")
      return losses.sigmoidCrossEntropy<Tensor, Scalar>(targets, outputs);
    return losses.meanSquaredError<Tensor, Scalar>(targets, outputs);
  }

  #batch(
    { features, targets }: Samples,
    order: Int32Array | undefined,
    from: number,
    count: number,
  ): { readonly x: Tensor; readonly y: Tensor } {
    const { inputSize, outputSize, outputShape } = this.#layout;
    const input = new Float32Array(count * inputSize);
    const wanted = new Float32Array(count * outputSize);
    for (let at = 0; at < count; at++) {
      const place = order?.[from + at] ?? from + at;
      input.set(features.subarray(place * inputSize, (place + 1) * inputSize), at * inputSize);
      if (this.spec.loss === "softmax-cross-entropy")
        wanted[at * outputSize + (targets[place] ?? 0)] = 1;
      else
        wanted.set(targets.subarray(place * outputSize, (place + 1) * outputSize), at * outputSize);
    }
    return {
      x: this.#tf.tensor(input, [count, ...this.spec.inputShape]),
      y: this.#tf.tensor(wanted, [count, ...outputShape]),
    };
  }

  #assign(weights: Float32Array, wanted: (info: ParameterInfo) => boolean): void {
    const tf = this.#tf;
    tf.tidy(() =>
      this.#eachVariable((variable, info) => {
        if (!wanted(info)) return;
        const values = weights.slice(info.offset, info.offset + info.size);
        variable.assign(tf.tensor(values, [...info.shape]));
      }),
    );
  }

  #eachVariable(visit: (variable: Variable, info: ParameterInfo) => void): void {
    for (const [at, variable] of this.#variables.entries()) {
      const info = this.layout[at];
      if (info === undefined || sizeOf(variable.shape) !== info.size)
        throw new TrainingError("training.model", `${variable.name} is not as the layout has it`);
      visit(variable, info);
    }
  }

  #checkAlive(): void {
    if (this.#disposed) throw new TrainingError("training.disposed", "the model was disposed");
  }
}

/** How many rows are largest, first among equals, at their class. */
function countHits(
  outputs: Float32Array | Int32Array | Uint8Array,
  classes: Int32Array | Float32Array,
): number {
  const size = outputs.length / classes.length;
  let hits = 0;
  for (let row = 0; row < classes.length; row++) {
    let best = 0;
    for (let at = 1; at < size; at++)
      if ((outputs[row * size + at] ?? 0) > (outputs[row * size + best] ?? 0)) best = at;
    if (best === classes[row]) hits++;
  }
  return hits;
}
