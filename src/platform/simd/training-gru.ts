import type { Address } from "../training-kernels.ts";
import type { Reserve, Workshop } from "./training-layer.ts";
import { CompiledRecurrent, type RecurrentShape } from "./training-recurrent.ts";

/** GRU (Cho et al. 2014): the reset gate acts before the recurrent kernel. */
export class CompiledGru extends CompiledRecurrent {
  /** `r * before` of all steps, and the gradient by that of one step. */
  #reset: Address = 0;
  #resetSlopes: Address = 0;

  constructor(shop: Workshop, shape: RecurrentShape) {
    super(shop, shape, 3);
  }

  override reserve(samples: number, reserve: Reserve): void {
    super.reserve(samples, reserve);
    const { steps, units } = this.shape;
    this.#reset = reserve(samples * steps * units);
    this.#resetSlopes = reserve(samples * units);
  }

  protected step(samples: number, step: number): void {
    const { kernels, weights } = this.shop;
    const { steps, units } = this.shape;
    const [gates, before] = [this.gatesOf(step), this.outputOf(step - 1)];
    const [gatesStride, stride] = [steps * this.width, steps * units];
    const recurrent = this.recurrent(weights);
    const reset = this.#reset + 4 * step * units;
    if (before !== 0) this.#add(samples, 2 * units, before, recurrent, gates);
    kernels.gruGates(samples, units, gates, gatesStride, before, reset, stride);
    if (before !== 0) this.#add(samples, units, reset, recurrent + 8 * units, gates + 8 * units);
    kernels.gruStep(samples, units, gates, gatesStride, before, this.outputOf(step), stride);
  }

  protected clear(): void {
    // Nothing but the slopes goes from step to step.
  }

  protected stepGradient(samples: number, step: number): void {
    const { kernels, weights } = this.shop;
    const { steps, units } = this.shape;
    const [gates, before] = [this.gatesOf(step), this.outputOf(step - 1)];
    const [gatesStride, stride] = [steps * this.width, steps * units];
    const recurrent = this.recurrent(weights);
    const [slopes, resetSlopes] = [this.slopes, this.#resetSlopes];
    kernels.gruStepGradient(samples, units, gates, gatesStride, before, stride, slopes);
    this.#back(samples, units, gates + 8 * units, recurrent + 8 * units, resetSlopes, false);
    kernels.gruGatesGradient(
      samples,
      units,
      gates,
      gatesStride,
      before,
      stride,
      resetSlopes,
      slopes,
    );
    if (before !== 0) this.#back(samples, 2 * units, gates, recurrent, slopes, true);
  }

  protected addRecurrent(sample: number, to: Address, factor: number): void {
    const { steps, units } = this.shape;
    const gates = this.gates + 4 * (sample * steps + 1) * this.width;
    const outputs = this.outputs + 4 * sample * steps * units;
    const reset = this.#reset + 4 * (sample * steps + 1) * units;
    this.#grow(2 * units, outputs, gates, to, factor);
    this.#grow(units, reset, gates + 8 * units, to + 8 * units, factor);
  }

  /** `to += factor * states' gates` over the steps of one sample, some of the columns. */
  #grow(columns: number, states: Address, gates: Address, to: Address, factor: number): void {
    const { steps, units } = this.shape;
    const { kernels, scratch } = this.shop;
    kernels.matmul(
      true,
      false,
      units,
      columns,
      steps - 1,
      factor,
      states,
      units,
      gates,
      this.width,
      to,
      this.width,
      true,
      scratch,
    );
  }

  /** `gates += state * kernel`, some of the columns of both. */
  #add(samples: number, columns: number, state: Address, kernel: Address, gates: Address): void {
    const { steps, units } = this.shape;
    const { kernels, scratch } = this.shop;
    kernels.matmul(
      false,
      false,
      samples,
      columns,
      units,
      1,
      state,
      steps * units,
      kernel,
      this.width,
      gates,
      steps * this.width,
      true,
      scratch,
    );
  }

  /** `to = gates * kernel'`, some of the columns of both. */
  #back(
    samples: number,
    columns: number,
    gates: Address,
    kernel: Address,
    to: Address,
    accumulate: boolean,
  ): void {
    const { steps, units } = this.shape;
    const { kernels, scratch } = this.shop;
    kernels.matmul(
      false,
      true,
      samples,
      units,
      columns,
      1,
      gates,
      steps * this.width,
      kernel,
      this.width,
      to,
      units,
      accumulate,
      scratch,
    );
  }
}
