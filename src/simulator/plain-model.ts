import {
  type Evaluation,
  type ModelSpec,
  type ParameterInfo,
  type Samples,
  type TrainableModel,
  TrainingError,
  type TrainPlan,
  type TrainReport,
} from "../platform/training-backend.ts";
import {
  checkFeatures,
  checkFinite,
  checkLength,
  checkPlan,
  checkSamples,
} from "../platform/training-checks.ts";
import type { ModelLayout } from "../platform/training-layout.ts";
import type { Pass, PlainLayer } from "./plain-layer.ts";
import { type BatchLoss, lossOf } from "./plain-losses.ts";
import { plainLayers } from "./plain-network.ts";
import { PlainStep } from "./plain-step.ts";

/** Samples that are looked at together where the result does not depend on it. */
const BLOCK_SAMPLES = 256;
/** Activations of one batch; a larger one is refused. */
const BATCH_BYTES_MAX = 1 << 30;
const INFER: Pass = { mode: "infer", seed: 0, step: 0 };
const GRADIENT: Pass = { mode: "gradient", seed: 0, step: 0 };

/** A model of `PlainTrainingBackend`. */
export class PlainModel implements TrainableModel {
  readonly spec: ModelSpec;
  readonly layout: readonly ParameterInfo[];
  readonly parameterCount: number;
  readonly #model: ModelLayout;
  readonly #layers: readonly PlainLayer[];
  readonly #weights: Float32Array;
  readonly #onDispose: () => void;
  readonly #mixesSamples: boolean;
  #reserved = 0;
  #input = new Float32Array(0);
  #places = new Int32Array(0);
  #outputGradient = new Float32Array(0);
  #gradient = new Float32Array(0);
  #backup = new Float32Array(0);
  #isDisposed = false;

  constructor(spec: ModelSpec, model: ModelLayout, weights: Float32Array, onDispose: () => void) {
    this.spec = spec;
    this.#model = model;
    this.#layers = plainLayers(model);
    this.layout = model.parameters;
    this.parameterCount = model.parameterCount;
    this.#weights = weights;
    this.#onDispose = onDispose;
    this.#mixesSamples = spec.layers.some(({ kind }) => kind === "batch-norm");
  }

  /** Bytes that the model and its work hold. */
  get bytes(): number {
    if (this.#isDisposed) return 0;
    const { length } = this.#gradient;
    return (
      4 * (this.parameterCount + length + this.#backup.length) +
      this.#reserved * this.#bytesPerSample()
    );
  }

  read(into: Float32Array): void {
    this.#mustLive();
    checkLength("into", into, this.parameterCount);
    into.set(this.#weights);
  }

  write(from: Float32Array): void {
    this.#mustLive();
    checkLength("weights", from, this.parameterCount);
    checkFinite("weights", from, this.#model);
    this.#weights.set(from);
  }

  gradient(samples: Samples, into: Float32Array): number {
    this.#mustLive();
    checkLength("into", into, this.parameterCount);
    checkSamples(this.spec, this.#model, samples);
    const { count } = samples;
    const block = this.#mixesSamples ? count : Math.min(count, BLOCK_SAMPLES);
    this.#reserve(block);
    const sum = new Float64Array(this.parameterCount);
    const gradient = this.#gradientMemory();
    let loss = 0;
    for (let from = 0; from < count; from += block) {
      const size = Math.min(block, count - from);
      for (let at = 0; at < size; at++) this.#places[at] = from + at;
      loss += this.#pass(samples, size, count, GRADIENT);
      for (let at = 0; at < sum.length; at++)
        sum[at] = (sum[at] as number) + (gradient[at] as number);
    }
    into.set(sum);
    return loss / count;
  }

  train(samples: Samples, plan: TrainPlan): TrainReport {
    this.#mustLive();
    checkPlan(plan, this.parameterCount);
    checkSamples(this.spec, this.#model, samples, plan.order);
    const { order, batchSize, dropout } = plan;
    this.#reserve(Math.min(batchSize, order.length));
    if (this.#backup.length === 0) this.#backup = new Float32Array(this.parameterCount);
    this.#backup.set(this.#weights);
    const velocityBefore = plan.velocity?.slice();
    const step = new PlainStep(plan, this.layout, this.parameterCount);
    let steps = 0;
    let losses = 0;
    for (let from = 0; from < order.length; from += batchSize) {
      const size = Math.min(batchSize, order.length - from);
      for (let at = 0; at < size; at++) this.#places[at] = order[from + at] as number;
      const pass = {
        mode: "train",
        seed: dropout?.seed ?? 0,
        step: (dropout?.firstStep ?? 0) + steps,
      } as const;
      const loss = this.#pass(samples, size, size, pass) / size;
      step.apply(this.#weights, this.#gradientMemory());
      if (!Number.isFinite(loss) || !step.isFinite) {
        this.#weights.set(this.#backup);
        if (velocityBefore !== undefined) plan.velocity?.set(velocityBefore);
        throw new TrainingError(
          "training.not-finite",
          `step ${steps + 1}: the loss is ${Number.isFinite(loss) ? "finite, the weights are not" : loss}; a smaller learning rate may help`,
        );
      }
      losses += loss;
      steps++;
    }
    return { steps, loss: losses / steps };
  }

  evaluate(samples: Samples): Evaluation {
    this.#mustLive();
    checkSamples(this.spec, this.#model, samples);
    const { count } = samples;
    let sum = 0;
    let hits = 0;
    this.#inBlocks(samples.features, count, (outputs, size) => {
      const done = this.#lossOf(outputs, samples, size, size);
      sum += done.sum;
      hits += done.hits;
    });
    const hasClasses = this.spec.loss === "softmax-cross-entropy";
    return { count, loss: sum / count, ...(hasClasses && { accuracy: hits / count }) };
  }

  predict(features: Float32Array, count: number): Float32Array {
    this.#mustLive();
    checkFeatures(this.spec, this.#model, features, count);
    const { outputSize } = this.#model;
    const predictions = new Float32Array(count * outputSize);
    this.#inBlocks(features, count, (outputs, size, from) => {
      predictions.set(outputs.subarray(0, size * outputSize), from * outputSize);
    });
    return predictions;
  }

  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#onDispose();
  }

  #inBlocks(
    features: Float32Array,
    count: number,
    take: (outputs: Float32Array, size: number, from: number) => void,
  ): void {
    this.#reserve(Math.min(count, BLOCK_SAMPLES));
    for (let from = 0; from < count; from += BLOCK_SAMPLES) {
      const size = Math.min(BLOCK_SAMPLES, count - from);
      for (let at = 0; at < size; at++) this.#places[at] = from + at;
      take(this.#forward(features, size, INFER), size, from);
    }
  }

  /** Forward and backward over the samples at `#places`. @returns the sum of their losses */
  #pass(samples: Samples, count: number, samplesOfMean: number, pass: Pass): number {
    const outputs = this.#forward(samples.features, count, pass);
    let outputGradient: Float32Array = this.#outputGradient;
    const { sum } = this.#lossOf(outputs, samples, count, samplesOfMean, outputGradient);
    const layers = this.#layers;
    for (let at = layers.length - 1; at >= 0; at--)
      outputGradient =
        layers[at]?.backward(
          outputGradient,
          count,
          this.#weights,
          this.#gradientMemory(),
          at > 0,
        ) ?? outputGradient;
    return sum;
  }

  #lossOf(
    outputs: Float32Array,
    samples: Samples,
    count: number,
    samplesOfMean: number,
    gradient?: Float32Array,
  ): BatchLoss {
    const { outputSize } = this.#model;
    const { loss } = this.spec;
    return lossOf(loss, outputs, outputSize, samples, this.#places, count, samplesOfMean, gradient);
  }

  #forward(features: Float32Array, count: number, pass: Pass): Float32Array {
    const { inputSize } = this.#model;
    for (let at = 0; at < count; at++) {
      const from = (this.#places[at] as number) * inputSize;
      const to = at * inputSize;
      for (let each = 0; each < inputSize; each++)
        this.#input[to + each] = features[from + each] as number;
    }
    let values: Float32Array = this.#input;
    for (const layer of this.#layers) values = layer.forward(values, count, this.#weights, pass);
    return values;
  }

  #reserve(samples: number): void {
    if (samples <= this.#reserved) return;
    const bytes = samples * this.#bytesPerSample();
    if (bytes > BATCH_BYTES_MAX)
      throw new TrainingError(
        "training.memory",
        `a batch of ${samples} samples would take ${bytes} bytes, more than ${BATCH_BYTES_MAX}: make batches smaller`,
      );
    this.#reserved = samples;
    this.#input = new Float32Array(samples * this.#model.inputSize);
    this.#outputGradient = new Float32Array(samples * this.#model.outputSize);
    this.#places = new Int32Array(samples);
    for (const layer of this.#layers) layer.reserve(samples);
  }

  #bytesPerSample(): number {
    const { inputSize, outputSize } = this.#model;
    return this.#layers.reduce(
      (sum, layer) => sum + layer.bytesPerSample,
      4 * (inputSize + outputSize + 1),
    );
  }

  #gradientMemory(): Float32Array {
    if (this.#gradient.length !== this.parameterCount)
      this.#gradient = new Float32Array(this.parameterCount);
    return this.#gradient;
  }

  #mustLive(): void {
    if (this.#isDisposed)
      throw new TrainingError("training.disposed", "the model has been disposed of");
  }
}
