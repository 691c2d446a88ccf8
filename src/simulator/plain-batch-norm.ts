import type { Pass, PlainLayer } from "./plain-layer.ts";

/**
 * Batch normalization over the last axis (Ioffe and Szegedy 2015), as Keras has it: biased variance, and statistics that
 * move by `1 - momentum` with each batch of training.
 */
export class PlainBatchNorm implements PlainLayer {
  readonly outputSize: number;
  readonly bytesPerSample: number;
  readonly #channels: number;
  readonly #momentum: number;
  readonly #epsilon: number;
  readonly #offset: number;
  readonly #mean: Float64Array;
  readonly #deviation: Float64Array;
  #normalized = new Float32Array(0);
  #output = new Float32Array(0);

  constructor(
    size: number,
    channels: number,
    { momentum, epsilon }: { readonly momentum: number; readonly epsilon: number },
    offset: number,
  ) {
    this.#channels = channels;
    this.#momentum = momentum;
    this.#epsilon = epsilon;
    this.#offset = offset;
    this.#mean = new Float64Array(channels);
    this.#deviation = new Float64Array(channels);
    this.outputSize = size;
    this.bytesPerSample = 8 * size;
  }

  reserve(samples: number): void {
    if (this.#output.length >= samples * this.outputSize) return;
    this.#output = new Float32Array(samples * this.outputSize);
    this.#normalized = new Float32Array(samples * this.outputSize);
  }

  forward(input: Float32Array, count: number, weights: Float32Array, { mode }: Pass): Float32Array {
    const channels = this.#channels;
    const length = count * this.outputSize;
    if (mode === "infer") this.#takeStatistics(weights);
    else this.#measure(input, length, weights, mode === "train");
    const gammaAt = this.#offset;
    const betaAt = gammaAt + channels;
    for (let at = 0; at < length; at++) {
      const channel = at % channels;
      const normalized =
        ((input[at] as number) - (this.#mean[channel] as number)) /
        (this.#deviation[channel] as number);
      this.#normalized[at] = normalized;
      this.#output[at] =
        normalized * (weights[gammaAt + channel] as number) + (weights[betaAt + channel] as number);
    }
    return this.#output;
  }

  backward(
    outputGradient: Float32Array,
    count: number,
    weights: Float32Array,
    gradient: Float32Array,
  ): Float32Array {
    const channels = this.#channels;
    const length = count * this.outputSize;
    const rows = length / channels;
    const sums = new Float64Array(channels);
    const products = new Float64Array(channels);
    for (let at = 0; at < length; at++) {
      const channel = at % channels;
      const value = outputGradient[at] as number;
      sums[channel] = (sums[channel] as number) + value;
      products[channel] = (products[channel] as number) + value * (this.#normalized[at] as number);
    }
    gradient.set(products, this.#offset);
    gradient.set(sums, this.#offset + channels);
    gradient.fill(0, this.#offset + 2 * channels, this.#offset + 4 * channels);
    for (let at = 0; at < length; at++) {
      const channel = at % channels;
      const scale =
        (weights[this.#offset + channel] as number) / (this.#deviation[channel] as number);
      outputGradient[at] =
        scale *
        ((outputGradient[at] as number) -
          (sums[channel] as number) / rows -
          ((this.#normalized[at] as number) * (products[channel] as number)) / rows);
    }
    return outputGradient;
  }

  #takeStatistics(weights: Float32Array): void {
    const channels = this.#channels;
    const from = this.#offset + 2 * channels;
    for (let channel = 0; channel < channels; channel++) {
      this.#mean[channel] = weights[from + channel] as number;
      const variance = weights[from + channels + channel] as number;
      this.#deviation[channel] = Math.sqrt(Math.max(0, variance) + this.#epsilon);
    }
  }

  #measure(input: Float32Array, length: number, weights: Float32Array, moves: boolean): void {
    const channels = this.#channels;
    const rows = length / channels;
    const mean = this.#mean.fill(0);
    const variance = this.#deviation.fill(0);
    for (let at = 0; at < length; at++)
      mean[at % channels] = (mean[at % channels] as number) + (input[at] as number) / rows;
    for (let at = 0; at < length; at++) {
      const off = (input[at] as number) - (mean[at % channels] as number);
      variance[at % channels] = (variance[at % channels] as number) + (off * off) / rows;
    }
    const from = this.#offset + 2 * channels;
    for (let channel = 0; channel < channels; channel++) {
      const measured = variance[channel] as number;
      if (moves) {
        const at = from + channel;
        weights[at] = this.#moved(weights[at] as number, mean[channel] as number);
        weights[at + channels] = this.#moved(weights[at + channels] as number, measured);
      }
      variance[channel] = Math.sqrt(measured + this.#epsilon);
    }
  }

  #moved(old: number, fresh: number): number {
    return old * this.#momentum + fresh * (1 - this.#momentum);
  }
}
