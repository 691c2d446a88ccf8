import type { Random } from "./random.ts";
import type { Initializer, ParameterInfo } from "./training-backend.ts";
import { draw, type Fans, gaussian, uniform } from "./training-initializer.ts";
import type { ModelLayout } from "./training-layout.ts";
import { sizeOf } from "./training-layout.ts";

/**
 * First weights, the same for every backend: kernels as their layer's `initializer` has it, biases as its `biasInitializer` does or zero,
 * recurrent kernels orthogonal (Saxe et al. 2014), embeddings uniform within 0.05, scales and variances one. Each tensor draws from a
 * stream of its own.
 */
export function initialWeights(layout: ModelLayout, random: Random): Float32Array {
  const weights = new Float32Array(layout.parameterCount);
  /** Of the layer's kernel, which comes before its biases. */
  let fans: Fans = { in: 1, out: 1 };
  for (const info of layout.parameters) {
    const tensor = weights.subarray(info.offset, info.offset + info.size);
    const name = info.name.split("/").at(-1);
    if (name === "kernel") {
      fans = fansOf(info);
      draw(tensor, kernelInitializer(layout, info), fans, random.fork(info.name));
    } else if (name === "bias") {
      const initializer = biasInitializer(layout, info);
      if (initializer !== undefined) draw(tensor, initializer, fans, random.fork(info.name));
    } else if (name === "embeddings") uniform(tensor, 0.05, random.fork(info.name));
    else if (name === "recurrent_kernel") orthogonal(tensor, info.shape, random.fork(info.name));
    else if (name === "gamma" || name === "moving_variance") tensor.fill(1);
  }
  return weights;
}

function kernelInitializer({ layers }: ModelLayout, { layer }: ParameterInfo): Initializer {
  const spec = layers[layer]?.spec;
  const given = spec !== undefined && "initializer" in spec ? spec.initializer : undefined;
  return given ?? "glorot-uniform";
}

/** @returns undefined where biases begin at zero */
function biasInitializer(
  { layers }: ModelLayout,
  { layer }: ParameterInfo,
): Initializer | undefined {
  const spec = layers[layer]?.spec;
  return spec !== undefined && "biasInitializer" in spec ? spec.biasInitializer : undefined;
}

/** A kernel's last two axes are channels in and out; what is before them is its window. */
function fansOf({ shape }: ParameterInfo): Fans {
  const window = sizeOf(shape.slice(0, -2));
  const [channels = 1, filters = 1] = shape.slice(-2);
  return { in: window * channels, out: window * filters };
}

/** Rows of unit length at right angles, by Gram and Schmidt on Gaussian rows; there are never more rows than columns. */
function orthogonal(tensor: Float32Array, shape: readonly number[], random: Random): void {
  const [rows = 0, columns = 0] = shape;
  const done: Float64Array[] = [];
  for (let at = 0; at < rows; at++) {
    const row = Float64Array.from({ length: columns }, () => gaussian(random));
    // Twice is enough (Giraud et al. 2005).
    for (let pass = 0; pass < 2; pass++)
      for (const other of done) add(row, -dot(row, other), other);
    const scale = 1 / Math.sqrt(dot(row, row));
    for (let column = 0; column < columns; column++) row[column] = (row[column] ?? 0) * scale;
    done.push(row);
    tensor.set(row, at * columns);
  }
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let at = 0; at < a.length; at++) sum += (a[at] as number) * (b[at] as number);
  return sum;
}

function add(to: Float64Array, factor: number, from: Float64Array): void {
  for (let at = 0; at < to.length; at++)
    to[at] = (to[at] as number) + factor * (from[at] as number);
}
