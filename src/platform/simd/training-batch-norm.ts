import type { Address } from "../training-kernels.ts";
import type { CompiledLayer, GradientTarget, Pass, Reserve, Workshop } from "./training-layer.ts";

/** Batch normalization over the last axis (Ioffe & Szegedy 2015). A batch passes as a whole, or not at all. */
export class CompiledBatchNorm implements CompiledLayer {
  readonly inputSize: number;
  readonly outputSize: number;
  readonly #shop: Workshop;
  readonly #channels: number;
  readonly #momentum: number;
  readonly #epsilon: number;
  readonly #offset: number;
  #x: Address = 0;
  #y: Address = 0;
  /** Mean, variance, gradients by scale and by shift, each as long as there are channels. */
  #sums: Address = 0;

  constructor(
    shop: Workshop,
    what: {
      readonly size: number;
      readonly channels: number;
      readonly momentum: number;
      readonly epsilon: number;
      /** Of gamma among all parameters; beta, moving mean and moving variance follow it. */
      readonly offset: number;
    },
  ) {
    this.#shop = shop;
    this.#channels = what.channels;
    this.#momentum = what.momentum;
    this.#epsilon = what.epsilon;
    this.#offset = what.offset;
    this.inputSize = what.size;
    this.outputSize = what.size;
  }

  reserve(samples: number, reserve: Reserve): void {
    this.#y = reserve(samples * this.outputSize);
    this.#sums = reserve(4 * this.#channels);
  }

  forward(x: Address, { samples, mode }: Pass): Address {
    const { kernels, weights } = this.#shop;
    const bytes = 4 * this.#channels;
    const gamma = weights + 4 * this.#offset;
    const moving = gamma + 2 * bytes;
    const rows = (samples * this.inputSize) / this.#channels;
    this.#x = x;
    if (mode !== "inference")
      kernels.moments(x, rows, this.#channels, this.#sums, this.#sums + bytes);
    const from = mode === "inference" ? moving : this.#sums;
    kernels.normalize(
      x,
      rows,
      this.#channels,
      from,
      from + bytes,
      this.#epsilon,
      gamma,
      gamma + bytes,
      this.#y,
    );
    if (mode === "train") {
      kernels.scale(this.#momentum, moving, 2 * this.#channels);
      kernels.axpy(1 - this.#momentum, this.#sums, moving, 2 * this.#channels);
    }
    return this.#y;
  }

  backward(dy: Address, dx: Address, { samples }: Pass, target: GradientTarget): Address {
    const { kernels, weights } = this.#shop;
    const bytes = 4 * this.#channels;
    const slopes = this.#sums + 2 * bytes;
    kernels.normalizeGradient(
      this.#x,
      (samples * this.inputSize) / this.#channels,
      this.#channels,
      this.#sums,
      this.#sums + bytes,
      this.#epsilon,
      weights + 4 * this.#offset,
      dy,
      slopes,
      slopes + bytes,
      dx,
    );
    const to = target.at + 4 * this.#offset;
    if (!target.accumulate) this.#shop.floats().fill(0, to / 4, to / 4 + 2 * this.#channels);
    kernels.axpy(target.factor, slopes, to, 2 * this.#channels);
    return dx;
  }
}
