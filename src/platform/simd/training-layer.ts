import type { Address, TrainingKernels } from "../training-kernels.ts";

/** What a pass through the layers is for. */
export interface Pass {
  /** `train` moves statistics and drops out; `gradient` normalizes by the batch and leaves all as it is. */
  readonly mode: "train" | "gradient" | "inference";
  /** Samples that pass now, and how many of the same batch went before. */
  readonly samples: number;
  readonly before: number;
  readonly step: number;
  readonly seed: number;
}

/** Where gradients by parameters go: `factor` times the gradient of parameter i to `at + 4 i`, or added to what is there. */
export interface GradientTarget {
  readonly at: Address;
  readonly factor: number;
  readonly accumulate: boolean;
}

/** What layers work with. */
export interface Workshop {
  readonly kernels: TrainingKernels;
  /** Of `matmul`. */
  readonly scratch: Address;
  /** Of the first parameter. */
  readonly weights: Address;
  floats(): Float32Array;
  integers(): Int32Array;
}

/** Hands out room for so many values of 4 bytes, kept until the batch grows. */
export type Reserve = (values: number) => Address;

/** One layer of a compiled model: its places in memory are fixed, it calls kernels and allocates nothing. */
export interface CompiledLayer {
  /** Values of a sample. */
  readonly inputSize: number;
  readonly outputSize: number;
  /** Room for what it gives and keeps. Called first for the size alone, before there is any memory. */
  reserve(samples: number, reserve: Reserve): void;
  /** Writes what it needs in its room, once it has it. */
  settle?(): void;
  /** @returns where the outputs are */
  forward(x: Address, pass: Pass): Address;
  /**
   * Follows a `forward` of the same samples. Gradients by what came in are made before those by parameters, which may be
   * the weights themselves.
   * @param dy gradient by the outputs; may be overwritten
   * @param dx room for the gradient by the inputs; 0 when nobody asks for it
   * @returns where that gradient is: `dx`, or `dy` if it was made in place
   */
  backward(dy: Address, dx: Address, pass: Pass, target: GradientTarget): Address;
}
