import type { Activation } from "../training-backend.ts";
import type { Address } from "../training-kernels.ts";
import { activate, activateGradient } from "./training-activation.ts";
import type { CompiledLayer, GradientTarget, Pass, Reserve, Workshop } from "./training-layer.ts";

/** `activation(x kernel + bias)` on the last axis; a sample may have several rows. */
export class CompiledDense implements CompiledLayer {
  readonly inputSize: number;
  readonly outputSize: number;
  readonly #shop: Workshop;
  readonly #rows: number;
  readonly #inputs: number;
  readonly #units: number;
  readonly #activation: Activation;
  readonly #offset: number;
  #x: Address = 0;
  #y: Address = 0;

  constructor(
    shop: Workshop,
    what: {
      readonly rows: number;
      readonly inputs: number;
      readonly units: number;
      readonly activation: Activation;
      /** Of the kernel among all parameters; the bias follows it. */
      readonly offset: number;
    },
  ) {
    this.#shop = shop;
    this.#rows = what.rows;
    this.#inputs = what.inputs;
    this.#units = what.units;
    this.#activation = what.activation;
    this.#offset = what.offset;
    this.inputSize = what.rows * what.inputs;
    this.outputSize = what.rows * what.units;
  }

  reserve(samples: number, reserve: Reserve): void {
    this.#y = reserve(samples * this.outputSize);
  }

  forward(x: Address, { samples }: Pass): Address {
    const { kernels, scratch, weights } = this.#shop;
    const [inputs, units, rows] = [this.#inputs, this.#units, samples * this.#rows];
    const kernel = weights + 4 * this.#offset;
    const bias = kernel + 4 * inputs * units;
    const y = this.#y;
    this.#x = x;
    kernels.matmul(
      false,
      false,
      rows,
      units,
      inputs,
      1,
      x,
      inputs,
      kernel,
      units,
      y,
      units,
      false,
      scratch,
    );
    activate(kernels, this.#activation, y, bias, rows, units);
    return y;
  }

  backward(dy: Address, dx: Address, { samples }: Pass, target: GradientTarget): Address {
    const { kernels, scratch, weights } = this.#shop;
    const [inputs, units, rows] = [this.#inputs, this.#units, samples * this.#rows];
    const kernel = weights + 4 * this.#offset;
    activateGradient(kernels, this.#activation, this.#y, dy, rows, units);
    if (dx !== 0)
      kernels.matmul(
        false,
        true,
        rows,
        inputs,
        units,
        1,
        dy,
        units,
        kernel,
        units,
        dx,
        inputs,
        false,
        scratch,
      );
    const to = target.at + 4 * this.#offset;
    const { factor, accumulate } = target;
    kernels.matmul(
      true,
      false,
      inputs,
      units,
      rows,
      factor,
      this.#x,
      inputs,
      dy,
      units,
      to,
      units,
      accumulate,
      scratch,
    );
    kernels.columnSums(dy, rows, units, factor, to + 4 * inputs * units, accumulate);
    return dx;
  }
}
