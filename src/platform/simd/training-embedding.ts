import type { Address } from "../training-kernels.ts";
import type { CompiledLayer, GradientTarget, Pass, Reserve, Workshop } from "./training-layer.ts";

/** A row of the table for each number that comes in. It is the first layer: nobody asks for a gradient by its inputs. */
export class CompiledEmbedding implements CompiledLayer {
  readonly inputSize: number;
  readonly outputSize: number;
  readonly #shop: Workshop;
  readonly #vocabulary: number;
  readonly #units: number;
  readonly #offset: number;
  #x: Address = 0;
  #y: Address = 0;

  constructor(
    shop: Workshop,
    what: {
      readonly steps: number;
      readonly vocabulary: number;
      readonly units: number;
      /** Of the table among all parameters. */
      readonly offset: number;
    },
  ) {
    this.#shop = shop;
    this.#vocabulary = what.vocabulary;
    this.#units = what.units;
    this.#offset = what.offset;
    this.inputSize = what.steps;
    this.outputSize = what.steps * what.units;
  }

  reserve(samples: number, reserve: Reserve): void {
    this.#y = reserve(samples * this.outputSize);
  }

  forward(x: Address, { samples }: Pass): Address {
    const { kernels, weights } = this.#shop;
    const table = weights + 4 * this.#offset;
    this.#x = x;
    kernels.gather(x, table, samples * this.inputSize, this.#units, this.#y);
    return this.#y;
  }

  backward(dy: Address, _dx: Address, { samples }: Pass, target: GradientTarget): Address {
    const { kernels } = this.#shop;
    const table = target.at + 4 * this.#offset;
    if (!target.accumulate)
      this.#shop.floats().fill(0, table / 4, table / 4 + this.#vocabulary * this.#units);
    const count = samples * this.inputSize;
    kernels.scatterAdd(this.#x, dy, count, this.#units, target.factor, table);
    return 0;
  }
}
