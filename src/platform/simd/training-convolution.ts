import type { Activation } from "../training-backend.ts";
import { type Address, type Window, windowFields } from "../training-kernels.ts";
import { activate, activateGradient } from "./training-activation.ts";
import type { CompiledLayer, GradientTarget, Pass, Reserve, Workshop } from "./training-layer.ts";

/** Values of patches that are looked at together: they stay in the second cache. */
const PATCH_VALUES = 65_536;

/** Convolution of images, or of sequences as images of height 1: patches are copied to rows and multiplied. */
export class CompiledConvolution implements CompiledLayer {
  readonly inputSize: number;
  readonly outputSize: number;
  readonly #shop: Workshop;
  readonly #window: Window;
  readonly #activation: Activation;
  readonly #offset: number;
  readonly #patchSize: number;
  #where: Address = 0;
  #patches: Address = 0;
  #x: Address = 0;
  #y: Address = 0;

  /** @param offset of the kernel among all parameters; the bias follows it */
  constructor(
    shop: Workshop,
    window: Omit<Window, "chunk">,
    activation: Activation,
    offset: number,
  ) {
    this.#shop = shop;
    this.#patchSize = window.kernelHeight * window.kernelWidth * window.channels;
    this.#window = { ...window, chunk: Math.max(1, Math.floor(PATCH_VALUES / this.#patchSize)) };
    this.#activation = activation;
    this.#offset = offset;
    this.inputSize = window.height * window.width * window.channels;
    this.outputSize = window.outHeight * window.outWidth * window.filters;
  }

  reserve(samples: number, reserve: Reserve): void {
    this.#where = reserve(windowFields.length);
    this.#patches = reserve(this.#window.chunk * this.#patchSize);
    this.#y = reserve(samples * this.outputSize);
  }

  settle(): void {
    writeWindow(this.#shop, this.#where, this.#window);
  }

  forward(x: Address, { samples }: Pass): Address {
    const { kernels, scratch, weights } = this.#shop;
    const kernel = weights + 4 * this.#offset;
    this.#x = x;
    kernels.convolution(this.#where, samples, x, kernel, this.#y, this.#patches, scratch);
    const { outHeight, outWidth, filters } = this.#window;
    const bias = kernel + 4 * this.#patchSize * filters;
    const rows = samples * outHeight * outWidth;
    activate(kernels, this.#activation, this.#y, bias, rows, filters);
    return this.#y;
  }

  backward(dy: Address, dx: Address, { samples }: Pass, target: GradientTarget): Address {
    const { kernels, scratch, weights } = this.#shop;
    const { outHeight, outWidth, filters } = this.#window;
    const rows = samples * outHeight * outWidth;
    const patches = this.#patches;
    activateGradient(kernels, this.#activation, this.#y, dy, rows, filters);
    if (dx !== 0) {
      const kernel = weights + 4 * this.#offset;
      kernels.convolutionInputGradient(this.#where, samples, dy, kernel, dx, patches, scratch);
    }
    const { factor, accumulate } = target;
    const to = target.at + 4 * this.#offset;
    kernels.convolutionKernelGradient(
      this.#where,
      samples,
      this.#x,
      dy,
      factor,
      to,
      accumulate,
      patches,
      scratch,
    );
    const bias = to + 4 * this.#patchSize * filters;
    kernels.columnSums(dy, rows, filters, factor, bias, accumulate);
    return dx;
  }
}

/** Convolution of each channel by itself. */
export class CompiledDepthwise implements CompiledLayer {
  readonly inputSize: number;
  readonly outputSize: number;
  readonly #shop: Workshop;
  readonly #window: Window;
  readonly #activation: Activation;
  readonly #offset: number;
  #where: Address = 0;
  #x: Address = 0;
  #y: Address = 0;

  /** @param offset of the kernel among all parameters; the bias follows it */
  constructor(
    shop: Workshop,
    window: Omit<Window, "chunk">,
    activation: Activation,
    offset: number,
  ) {
    this.#shop = shop;
    this.#window = { ...window, chunk: 1 };
    this.#activation = activation;
    this.#offset = offset;
    this.inputSize = window.height * window.width * window.channels;
    this.outputSize = window.outHeight * window.outWidth * window.channels;
  }

  reserve(samples: number, reserve: Reserve): void {
    this.#where = reserve(windowFields.length);
    this.#y = reserve(samples * this.outputSize);
  }

  settle(): void {
    writeWindow(this.#shop, this.#where, this.#window);
  }

  forward(x: Address, { samples }: Pass): Address {
    const { kernels, weights } = this.#shop;
    const kernel = weights + 4 * this.#offset;
    this.#x = x;
    kernels.depthwise(this.#where, samples, x, kernel, this.#y);
    const { channels, kernelHeight, kernelWidth } = this.#window;
    const bias = kernel + 4 * kernelHeight * kernelWidth * channels;
    activate(kernels, this.#activation, this.#y, bias, this.#rows(samples), channels);
    return this.#y;
  }

  backward(dy: Address, dx: Address, { samples }: Pass, target: GradientTarget): Address {
    const { kernels, weights } = this.#shop;
    const { channels, kernelHeight, kernelWidth } = this.#window;
    const rows = this.#rows(samples);
    activateGradient(kernels, this.#activation, this.#y, dy, rows, channels);
    if (dx !== 0) {
      const kernel = weights + 4 * this.#offset;
      kernels.depthwiseInputGradient(this.#where, samples, dy, kernel, dx);
    }
    const { factor, accumulate } = target;
    const to = target.at + 4 * this.#offset;
    kernels.depthwiseKernelGradient(this.#where, samples, this.#x, dy, factor, to, accumulate);
    const bias = to + 4 * kernelHeight * kernelWidth * channels;
    kernels.columnSums(dy, rows, channels, factor, bias, accumulate);
    return dx;
  }

  #rows(samples: number): number {
    return samples * this.#window.outHeight * this.#window.outWidth;
  }
}

/** Puts a window where kernels read it. */
export function writeWindow(shop: Workshop, where: Address, window: Window): void {
  const integers = shop.integers();
  for (const [at, field] of windowFields.entries()) integers[where / 4 + at] = window[field];
}
