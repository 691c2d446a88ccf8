import { dropoutKey } from "../training-dropout.ts";
import type { Address } from "../training-kernels.ts";
import type { CompiledLayer, Pass, Reserve, Workshop } from "./training-layer.ts";

/** Inverted dropout: its mask follows from seed, step and place, so that nothing is kept for the way back. */
export class CompiledDropout implements CompiledLayer {
  readonly inputSize: number;
  readonly outputSize: number;
  readonly #shop: Workshop;
  readonly #rate: number;
  readonly #index: number;
  #y: Address = 0;

  /** @param index of the layer */
  constructor(shop: Workshop, size: number, rate: number, index: number) {
    this.#shop = shop;
    this.#rate = rate;
    this.#index = index;
    this.inputSize = size;
    this.outputSize = size;
  }

  reserve(samples: number, reserve: Reserve): void {
    this.#y = reserve(samples * this.outputSize);
  }

  forward(x: Address, pass: Pass): Address {
    if (pass.mode !== "train" || this.#rate === 0) return x;
    this.#mask(x, this.#y, pass);
    return this.#y;
  }

  backward(dy: Address, _dx: Address, pass: Pass): Address {
    if (pass.mode === "train" && this.#rate !== 0) this.#mask(dy, dy, pass);
    return dy;
  }

  #mask(from: Address, to: Address, { samples, before, step, seed }: Pass): void {
    const first = dropoutKey(seed, step, this.#index);
    const key = (first + Math.imul(before * this.inputSize, 0x9e3779b1)) | 0;
    const threshold = Math.ceil(this.#rate * 2 ** 24);
    const factor = 1 / (1 - this.#rate);
    this.#shop.kernels.dropout(from, to, samples * this.inputSize, key, threshold, factor);
  }
}
