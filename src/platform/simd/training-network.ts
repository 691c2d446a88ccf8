import type { Window } from "../training-kernels.ts";
import { type PlacedLayer, sizeOf, windows } from "../training-layout.ts";
import { CompiledBatchNorm } from "./training-batch-norm.ts";
import { CompiledConvolution, CompiledDepthwise } from "./training-convolution.ts";
import { CompiledDense } from "./training-dense.ts";
import { CompiledDropout } from "./training-dropout.ts";
import { CompiledEmbedding } from "./training-embedding.ts";
import { CompiledGru } from "./training-gru.ts";
import type { CompiledLayer, Workshop } from "./training-layer.ts";
import { CompiledLstm } from "./training-lstm.ts";
import { CompiledPooling } from "./training-pooling.ts";

/** @returns what computes the layer; nothing where values stay as they are */
export function compileLayer(shop: Workshop, layer: PlacedLayer): readonly CompiledLayer[] {
  const { index, spec, inputShape, parameters } = layer;
  const size = sizeOf(inputShape);
  const channels = inputShape.at(-1) ?? 1;
  const offset = parameters[0]?.offset ?? 0;
  switch (spec.kind) {
    case "dense": {
      const { units, activation = "linear" } = spec;
      const rows = size / channels;
      return [new CompiledDense(shop, { rows, inputs: channels, units, activation, offset })];
    }
    case "conv1d":
    case "conv2d": {
      const { activation = "linear" } = spec;
      return [new CompiledConvolution(shop, convolutionWindow(layer), activation, offset)];
    }
    case "depthwise-conv2d": {
      const { activation = "linear" } = spec;
      return [new CompiledDepthwise(shop, convolutionWindow(layer), activation, offset)];
    }
    case "max-pool":
      return [new CompiledPooling(shop, poolingWindow(layer, spec.size), "max")];
    case "average-pool":
      return [new CompiledPooling(shop, poolingWindow(layer, spec.size), "average")];
    case "global-average-pool":
      return [new CompiledPooling(shop, poolingWindow(layer), "average")];
    case "flatten":
    case "reshape":
      return [];
    case "embedding": {
      const { vocabulary, units } = spec;
      return [new CompiledEmbedding(shop, { steps: channels, vocabulary, units, offset })];
    }
    case "lstm":
    case "gru": {
      const { kind, units, sequences = false } = spec;
      const shape = { steps: size / channels, inputs: channels, units, sequences, offset };
      return [kind === "lstm" ? new CompiledLstm(shop, shape) : new CompiledGru(shop, shape)];
    }
    case "batch-norm": {
      const { momentum = 0.99, epsilon = 1e-3 } = spec;
      return [new CompiledBatchNorm(shop, { size, channels, momentum, epsilon, offset })];
    }
    case "dropout":
      break;
  }
  return [new CompiledDropout(shop, size, spec.rate, index)];
}

/** A sequence is an image of height 1. */
function imageOf(shape: readonly number[]): { height: number; width: number; channels: number } {
  const [height = 1, width = 1, channels = 1] = shape.length === 2 ? [1, ...shape] : shape;
  return { height, width, channels };
}

function convolutionWindow({ spec, inputShape, outputShape }: PlacedLayer): Omit<Window, "chunk"> {
  const {
    kernelSize,
    strides = 1,
    padding = "valid",
  } = spec as Extract<PlacedLayer["spec"], { kernelSize: number }>;
  const image = imageOf(inputShape);
  const isSequence = inputShape.length === 2;
  const places = imageOf(outputShape);
  return {
    ...image,
    kernelHeight: isSequence ? 1 : kernelSize,
    kernelWidth: kernelSize,
    strideHeight: isSequence ? 1 : strides,
    strideWidth: strides,
    top: isSequence ? 0 : windows(image.height, kernelSize, strides, padding).before,
    left: windows(image.width, kernelSize, strides, padding).before,
    outHeight: places.height,
    outWidth: places.width,
    filters: places.channels,
  };
}

/** @param size of the window and its steps; the whole image unless given */
function poolingWindow(
  { inputShape, outputShape }: PlacedLayer,
  size?: number,
): Omit<Window, "chunk"> {
  const image = imageOf(inputShape);
  const places = size === undefined ? { height: 1, width: 1 } : imageOf(outputShape);
  const kernelHeight = inputShape.length === 2 ? 1 : (size ?? image.height);
  const kernelWidth = size ?? image.width;
  return {
    ...image,
    kernelHeight,
    kernelWidth,
    strideHeight: kernelHeight,
    strideWidth: kernelWidth,
    top: 0,
    left: 0,
    outHeight: places.height,
    outWidth: places.width,
    filters: image.channels,
  };
}
