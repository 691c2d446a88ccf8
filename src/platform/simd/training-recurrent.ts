import type { Address } from "../training-kernels.ts";
import type { CompiledLayer, GradientTarget, Pass, Reserve, Workshop } from "./training-layer.ts";

/** What a recurrent layer is made of. */
export interface RecurrentShape {
  readonly steps: number;
  readonly inputs: number;
  readonly units: number;
  /** Whether all outputs are given, or the last alone. */
  readonly sequences: boolean;
  /** Of the kernel among all parameters; recurrent kernel and bias follow it. */
  readonly offset: number;
}

/**
 * What LSTM and GRU have in common. The inputs of all steps are multiplied at once; then come the steps, each for the whole
 * batch. Sequences lie one sample after the other: a step's rows are `steps` rows apart.
 */
export abstract class CompiledRecurrent implements CompiledLayer {
  readonly inputSize: number;
  readonly outputSize: number;
  protected readonly shop: Workshop;
  protected readonly shape: RecurrentShape;
  /** Sums for each unit and step. */
  protected readonly width: number;
  #x: Address = 0;
  protected gates: Address = 0;
  /** Outputs of all steps; for the way back, the gradient by those of one step. */
  protected outputs: Address = 0;
  protected slopes: Address = 0;
  #last: Address = 0;

  constructor(shop: Workshop, shape: RecurrentShape, gateCount: number) {
    this.shop = shop;
    this.shape = shape;
    this.width = gateCount * shape.units;
    this.inputSize = shape.steps * shape.inputs;
    this.outputSize = (shape.sequences ? shape.steps : 1) * shape.units;
  }

  reserve(samples: number, reserve: Reserve): void {
    const { steps, units, sequences } = this.shape;
    this.gates = reserve(samples * steps * this.width);
    this.outputs = reserve(samples * steps * units);
    this.slopes = reserve(samples * units);
    if (!sequences) this.#last = reserve(samples * units);
  }

  forward(x: Address, { samples }: Pass): Address {
    const { kernels, scratch, weights } = this.shop;
    const { steps, inputs, units, sequences, offset } = this.shape;
    const kernel = weights + 4 * offset;
    const bias = this.recurrent(weights) + 4 * units * this.width;
    const [rows, width, gates] = [samples * steps, this.width, this.gates];
    this.#x = x;
    kernels.matmul(
      false,
      false,
      rows,
      width,
      inputs,
      1,
      x,
      inputs,
      kernel,
      width,
      gates,
      width,
      false,
      scratch,
    );
    kernels.biasActivation(0, gates, bias, rows, width);
    for (let step = 0; step < steps; step++) this.step(samples, step);
    if (sequences) return this.outputs;
    this.shop.floats().fill(0, this.#last / 4, this.#last / 4 + samples * units);
    kernels.addRows(samples, units, this.outputOf(steps - 1), steps * units, this.#last);
    return this.#last;
  }

  backward(dy: Address, dx: Address, { samples }: Pass, target: GradientTarget): Address {
    const { kernels, scratch, weights } = this.shop;
    const floats = this.shop.floats();
    const { steps, inputs, units, sequences, offset } = this.shape;
    floats.fill(0, this.slopes / 4, this.slopes / 4 + samples * units);
    this.clear(samples);
    for (let step = steps - 1; step >= 0; step--) {
      if (sequences)
        kernels.addRows(samples, units, dy + 4 * step * units, steps * units, this.slopes);
      else if (step === steps - 1) kernels.addRows(samples, units, dy, units, this.slopes);
      this.stepGradient(samples, step);
    }
    const [rows, width, gates] = [samples * steps, this.width, this.gates];
    if (dx !== 0) {
      const kernel = weights + 4 * offset;
      kernels.matmul(
        false,
        true,
        rows,
        inputs,
        width,
        1,
        gates,
        width,
        kernel,
        width,
        dx,
        inputs,
        false,
        scratch,
      );
    }
    const { factor, accumulate } = target;
    const to = target.at + 4 * offset;
    kernels.matmul(
      true,
      false,
      inputs,
      width,
      rows,
      factor,
      this.#x,
      inputs,
      gates,
      width,
      to,
      width,
      accumulate,
      scratch,
    );
    const recurrent = to + 4 * inputs * width;
    if (!accumulate) floats.fill(0, recurrent / 4, recurrent / 4 + units * width);
    for (let sample = 0; sample < samples; sample++) this.addRecurrent(sample, recurrent, factor);
    kernels.columnSums(gates, rows, width, factor, recurrent + 4 * units * width, accumulate);
    return dx;
  }

  /** Gates, state and outputs of one step of all samples. */
  protected abstract step(samples: number, step: number): void;
  /** From `slopes`, the gradient by a step's outputs: gates become gradients by their sums, `slopes` that for the step before. */
  protected abstract stepGradient(samples: number, step: number): void;
  /** Adds what one sample's steps give to the gradient by the recurrent kernel. */
  protected abstract addRecurrent(sample: number, to: Address, factor: number): void;
  /** Before the way back. */
  protected abstract clear(samples: number): void;

  protected recurrent(weights: Address): Address {
    return weights + 4 * (this.shape.offset + this.shape.inputs * this.width);
  }

  /** Of the first sample; 0 for the step before the first. */
  protected outputOf(step: number): Address {
    return step < 0 ? 0 : this.outputs + 4 * step * this.shape.units;
  }

  protected gatesOf(step: number): Address {
    return this.gates + 4 * step * this.width;
  }
}
