import type { Loss, Samples } from "../training-backend.ts";
import type { Address, TrainingKernels } from "../training-kernels.ts";
import type { ModelLayout } from "../training-layout.ts";
import type { TrainingArena } from "./training-arena.ts";
import type { CompiledLayer, GradientTarget, Pass, Reserve } from "./training-layer.ts";
import { compileLayer } from "./training-network.ts";

/** What a model's work may take for samples that pass at once, before they pass in several parts. */
const WORK_BYTES = 32 * 2 ** 20;
/** Samples that pass at once where nothing is trained. */
const INFERENCE_SAMPLES = 256;

/** What one passage of samples came to. */
export interface Passage {
  /** Sum over the samples of the mean over a sample's outputs. */
  lossSum: number;
  hits: number;
}

/**
 * A model's layers over the arena: room for some samples at once, which pass forward and back. What a step needs is
 * reserved before it.
 */
export class TrainingGraph {
  readonly layout: ModelLayout;
  /** Where the parameters are. */
  readonly weights: Address;
  readonly #loss: Loss;
  readonly #arena: TrainingArena;
  readonly #kernels: TrainingKernels;
  readonly #layers: readonly CompiledLayer[];
  readonly #normalizes: boolean;
  readonly #bytesPerSample: number;
  #room = 0;
  #work: Address = 0;
  #input: Address = 0;
  #targets: Address = 0;
  /** Gradients between layers go from one to the other. */
  #slopes: readonly [Address, Address] = [0, 0];
  #outputs: Address = 0;

  constructor(
    layout: ModelLayout,
    loss: Loss,
    arena: TrainingArena,
    kernels: TrainingKernels,
    scratch: Address,
  ) {
    this.layout = layout;
    this.#loss = loss;
    this.#arena = arena;
    this.#kernels = kernels;
    this.weights = arena.take(4 * layout.parameterCount, "the model's parameters");
    const shop = {
      kernels,
      scratch,
      weights: this.weights,
      floats: () => arena.floats(),
      integers: () => arena.integers(),
    };
    this.#layers = layout.layers.flatMap((layer) => compileLayer(shop, layer));
    this.#normalizes = layout.layers.some(({ spec }) => spec.kind === "batch-norm");
    this.#bytesPerSample = this.#bytesFor(2) - this.#bytesFor(1);
  }

  /** How many of `count` samples pass at once: all of a batch that is normalized, otherwise as many as fit the bound of work. */
  partOf(count: number, mode: Pass["mode"]): number {
    if (mode !== "inference" && this.#normalizes) return count;
    const fitting = Math.max(1, Math.floor(WORK_BYTES / this.#bytesPerSample));
    return Math.min(count, fitting, mode === "inference" ? INFERENCE_SAMPLES : fitting);
  }

  /** @throws TrainingError `training.memory` */
  reserve(samples: number): void {
    if (samples <= this.#room) return;
    this.dispose();
    this.#work = this.#arena.take(this.#bytesFor(samples), `work on ${samples} samples at once`);
    let at = this.#work;
    this.#place(samples, (values) => {
      const place = at;
      at += lines(values);
      return place;
    });
    for (const layer of this.#layers) layer.settle?.();
    this.#room = samples;
  }

  /** Puts the samples that `order` names from `from` on, or those from `from` on, in their places. */
  load(
    { features, targets }: Samples,
    order: Int32Array | undefined,
    from: number,
    count: number,
  ): void {
    this.loadFeatures(features, order, from, count);
    const { outputSize } = this.layout;
    const [integers, floats, at] = [
      this.#arena.integers(),
      this.#arena.floats(),
      this.#targets / 4,
    ];
    const isClasses = this.#loss === "softmax-cross-entropy";
    for (let sample = 0; sample < count; sample++) {
      const place = order === undefined ? from + sample : (order[from + sample] ?? 0);
      if (isClasses) integers[at + sample] = targets[place] ?? 0;
      else
        for (let each = 0; each < outputSize; each++)
          floats[at + sample * outputSize + each] = targets[place * outputSize + each] ?? 0;
    }
  }

  loadFeatures(
    features: Float32Array,
    order: Int32Array | undefined,
    from: number,
    count: number,
  ): void {
    const { inputSize } = this.layout;
    const [floats, at] = [this.#arena.floats(), this.#input / 4];
    if (order === undefined) {
      floats.set(features.subarray(from * inputSize, (from + count) * inputSize), at);
      return;
    }
    for (let sample = 0; sample < count; sample++) {
      const place = (order[from + sample] ?? 0) * inputSize;
      floats.set(features.subarray(place, place + inputSize), at + sample * inputSize);
    }
  }

  /** @returns where the outputs are */
  forward(pass: Pass): Address {
    let at = this.#input;
    for (const layer of this.#layers) at = layer.forward(at, pass);
    this.#outputs = at;
    return at;
  }

  /**
   * Loss of what passed forward last.
   * @param batch samples that the mean is over, for the gradient; 0 when nobody asks for it
   */
  loss(samples: number, batch: number, into: Passage): void {
    const { outputSize } = this.layout;
    const kernels = this.#kernels;
    const [outputs, targets] = [this.#outputs, this.#targets];
    const slopes = batch === 0 ? 0 : this.#slopes[0];
    if (this.#loss === "softmax-cross-entropy") {
      const factor = batch === 0 ? 0 : 1 / batch;
      into.lossSum += kernels.softmaxCrossEntropy(
        outputs,
        targets,
        samples,
        outputSize,
        factor,
        slopes,
      );
      if (batch === 0) into.hits += kernels.hits(outputs, targets, samples, outputSize);
      return;
    }
    const length = samples * outputSize;
    const factor = batch === 0 ? 0 : 1 / (batch * outputSize);
    const sum =
      this.#loss === "sigmoid-cross-entropy"
        ? kernels.sigmoidCrossEntropy(outputs, targets, length, factor, slopes)
        : kernels.squaredError(outputs, targets, length, factor, slopes);
    into.lossSum += sum / outputSize;
  }

  /** Follows {@link loss} with a batch. */
  backward(pass: Pass, target: GradientTarget): void {
    let [at, other] = this.#slopes;
    for (let index = this.#layers.length - 1; index >= 0; index--) {
      const layer = this.#layers[index] as CompiledLayer;
      const where = layer.backward(at, index === 0 ? 0 : other, pass, target);
      if (where === other) [at, other] = [other, at];
    }
  }

  /** Gives the room for samples back; the parameters' stays. */
  dispose(): void {
    this.#arena.give(this.#work);
    this.#work = 0;
    this.#room = 0;
  }

  #bytesFor(samples: number): number {
    let bytes = 0;
    this.#place(samples, (values) => {
      bytes += lines(values);
      return 0;
    });
    return bytes;
  }

  #place(samples: number, reserve: Reserve): void {
    const { inputSize, outputSize } = this.layout;
    this.#input = reserve(samples * inputSize);
    this.#targets = reserve(samples * (this.#loss === "softmax-cross-entropy" ? 1 : outputSize));
    let largest = outputSize;
    for (const layer of this.#layers) {
      layer.reserve(samples, reserve);
      largest = Math.max(largest, layer.inputSize, layer.outputSize);
    }
    this.#slopes = [reserve(samples * largest), reserve(samples * largest)];
  }
}

/** Bytes of so many values, up to whole lines of the cache. */
function lines(values: number): number {
  return Math.ceil(values / 16) * 64;
}
