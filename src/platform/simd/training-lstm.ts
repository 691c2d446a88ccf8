import type { Address } from "../training-kernels.ts";
import type { Reserve, Workshop } from "./training-layer.ts";
import { CompiledRecurrent, type RecurrentShape } from "./training-recurrent.ts";

/** LSTM (Hochreiter & Schmidhuber 1997) with a forget gate (Gers et al. 2000). */
export class CompiledLstm extends CompiledRecurrent {
  #cells: Address = 0;
  #cellSlopes: Address = 0;

  constructor(shop: Workshop, shape: RecurrentShape) {
    super(shop, shape, 4);
  }

  override reserve(samples: number, reserve: Reserve): void {
    super.reserve(samples, reserve);
    const { steps, units } = this.shape;
    this.#cells = reserve(samples * steps * units);
    this.#cellSlopes = reserve(samples * units);
  }

  protected step(samples: number, step: number): void {
    const { kernels, scratch, weights } = this.shop;
    const { steps, units } = this.shape;
    const [width, gates, before] = [this.width, this.gatesOf(step), this.outputOf(step - 1)];
    if (before !== 0)
      kernels.matmul(
        false,
        false,
        samples,
        width,
        units,
        1,
        before,
        steps * units,
        this.recurrent(weights),
        width,
        gates,
        steps * width,
        true,
        scratch,
      );
    kernels.lstmStep(
      samples,
      units,
      gates,
      steps * width,
      this.#cellsOf(step - 1),
      this.#cellsOf(step),
      this.outputOf(step),
      steps * units,
    );
  }

  protected clear(samples: number): void {
    const from = this.#cellSlopes / 4;
    this.shop.floats().fill(0, from, from + samples * this.shape.units);
  }

  protected stepGradient(samples: number, step: number): void {
    const { kernels, scratch, weights } = this.shop;
    const { steps, units } = this.shape;
    const [width, gates] = [this.width, this.gatesOf(step)];
    kernels.lstmStepGradient(
      samples,
      units,
      gates,
      steps * width,
      this.#cellsOf(step - 1),
      this.#cellsOf(step),
      steps * units,
      this.slopes,
      this.#cellSlopes,
    );
    if (step > 0)
      kernels.matmul(
        false,
        true,
        samples,
        units,
        width,
        1,
        gates,
        steps * width,
        this.recurrent(weights),
        width,
        this.slopes,
        units,
        false,
        scratch,
      );
  }

  protected addRecurrent(sample: number, to: Address, factor: number): void {
    const { kernels, scratch } = this.shop;
    const { steps, units } = this.shape;
    const outputs = this.outputs + 4 * sample * steps * units;
    const gates = this.gates + 4 * (sample * steps + 1) * this.width;
    kernels.matmul(
      true,
      false,
      units,
      this.width,
      steps - 1,
      factor,
      outputs,
      units,
      gates,
      this.width,
      to,
      this.width,
      true,
      scratch,
    );
  }

  #cellsOf(step: number): Address {
    return step < 0 ? 0 : this.#cells + 4 * step * this.shape.units;
  }
}
