import { type Address, type Window, windowFields } from "../training-kernels.ts";
import { writeWindow } from "./training-convolution.ts";
import type { CompiledLayer, Pass, Reserve, Workshop } from "./training-layer.ts";

/** The largest value or the mean under each window; windows do not overlap. */
export class CompiledPooling implements CompiledLayer {
  readonly inputSize: number;
  readonly outputSize: number;
  readonly #shop: Workshop;
  readonly #window: Window;
  readonly #isMax: boolean;
  #where: Address = 0;
  #places: Address = 0;
  #y: Address = 0;

  constructor(shop: Workshop, window: Omit<Window, "chunk">, kind: "max" | "average") {
    this.#shop = shop;
    this.#window = { ...window, chunk: 1 };
    this.#isMax = kind === "max";
    this.inputSize = window.height * window.width * window.channels;
    this.outputSize = window.outHeight * window.outWidth * window.channels;
  }

  reserve(samples: number, reserve: Reserve): void {
    this.#where = reserve(windowFields.length);
    this.#y = reserve(samples * this.outputSize);
    if (this.#isMax) this.#places = reserve(samples * this.outputSize);
  }

  settle(): void {
    writeWindow(this.#shop, this.#where, this.#window);
  }

  forward(x: Address, { samples }: Pass): Address {
    const { kernels } = this.#shop;
    if (this.#isMax) kernels.maxPool(this.#where, samples, x, this.#y, this.#places);
    else kernels.averagePool(this.#where, samples, x, this.#y);
    return this.#y;
  }

  backward(dy: Address, dx: Address, { samples }: Pass): Address {
    if (dx === 0) return 0;
    const { kernels } = this.#shop;
    const [inputs, outputs] = [samples * this.inputSize, samples * this.outputSize];
    if (this.#isMax) kernels.maxPoolGradient(dy, this.#places, outputs, dx, inputs);
    else kernels.averagePoolGradient(this.#where, samples, dy, dx);
    return dx;
  }
}
