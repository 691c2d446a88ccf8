import { dropoutKey, mix } from "../platform/training-dropout.ts";
import type { Pass, PlainLayer } from "./plain-layer.ts";

/** Inverted dropout (Srivastava et al. 2014): while training, what stays is scaled up by `1 / (1 - rate)`. */
export class PlainDropout implements PlainLayer {
  readonly outputSize: number;
  readonly bytesPerSample: number;
  readonly #rate: number;
  readonly #index: number;
  #factors = new Float32Array(0);
  #output = new Float32Array(0);

  constructor(size: number, rate: number, index: number) {
    this.outputSize = size;
    this.bytesPerSample = 8 * size;
    this.#rate = rate;
    this.#index = index;
  }

  reserve(samples: number): void {
    if (this.#output.length >= samples * this.outputSize) return;
    this.#output = new Float32Array(samples * this.outputSize);
    this.#factors = new Float32Array(samples * this.outputSize);
  }

  forward(input: Float32Array, count: number, _weights: Float32Array, pass: Pass): Float32Array {
    const length = count * this.outputSize;
    if (pass.mode !== "train") {
      this.#factors.fill(1, 0, length);
      return input;
    }
    const key = dropoutKey(pass.seed, pass.step, this.#index);
    const threshold = this.#rate * 2 ** 24;
    const kept = 1 / (1 - this.#rate);
    for (let at = 0; at < length; at++) {
      const factor = mix(key + Math.imul(at, 0x9e3779b1)) >>> 8 < threshold ? 0 : kept;
      this.#factors[at] = factor;
      this.#output[at] = (input[at] as number) * factor;
    }
    return this.#output;
  }

  backward(outputGradient: Float32Array, count: number): Float32Array {
    const length = count * this.outputSize;
    for (let at = 0; at < length; at++)
      outputGradient[at] = (outputGradient[at] as number) * (this.#factors[at] as number);
    return outputGradient;
  }
}
