import type { Random } from "../../../src/platform/random.ts";
import type { LayerSpec, ModelSpec, Samples } from "../../../src/platform/training-backend.ts";
import { layOut } from "../../../src/platform/training-layout.ts";

const classes = (inputShape: readonly number[], ...layers: readonly LayerSpec[]): ModelSpec => ({
  inputShape,
  layers: [...layers, { kind: "flatten" }, { kind: "dense", units: 3 }],
  loss: "softmax-cross-entropy",
});

/** A small model of each kind of layer, and stacked ones; odd sizes, so that nothing fits vectors by chance. */
export const modelsByName: Readonly<Record<string, ModelSpec>> = {
  dense: classes([7], { kind: "dense", units: 5 }),
  "dense relu": classes([7], { kind: "dense", units: 13, activation: "relu" }),
  "dense sigmoid": classes([7], { kind: "dense", units: 5, activation: "sigmoid" }),
  "dense tanh": classes([7], { kind: "dense", units: 5, activation: "tanh" }),
  "dense softmax": classes([7], { kind: "dense", units: 5, activation: "softmax" }),
  "dense on sequences": classes([3, 5], { kind: "dense", units: 7, activation: "tanh" }),
  "mean squared error": {
    inputShape: [5],
    layers: [
      { kind: "dense", units: 11, activation: "tanh" },
      { kind: "dense", units: 3, activation: "sigmoid" },
    ],
    loss: "mean-squared-error",
  },
  "sigmoid cross-entropy": {
    inputShape: [5],
    layers: [
      { kind: "dense", units: 11, activation: "relu" },
      { kind: "dense", units: 3 },
    ],
    loss: "sigmoid-cross-entropy",
  },
  conv1d: classes(
    [17, 3],
    { kind: "conv1d", filters: 5, kernelSize: 3, activation: "relu" },
    { kind: "conv1d", filters: 7, kernelSize: 5, strides: 2, padding: "same", activation: "tanh" },
  ),
  conv2d: classes(
    [9, 8, 2],
    { kind: "conv2d", filters: 5, kernelSize: 3, padding: "same", activation: "relu" },
    { kind: "conv2d", filters: 3, kernelSize: 3, strides: 2 },
  ),
  "conv2d of one": classes(
    [5, 5, 3],
    { kind: "conv2d", filters: 4, kernelSize: 1, activation: "sigmoid" },
    { kind: "conv2d", filters: 3, kernelSize: 1, strides: 2 },
  ),
  "depthwise-conv2d": classes(
    [9, 7, 3],
    { kind: "depthwise-conv2d", kernelSize: 3, padding: "same", activation: "relu" },
    { kind: "conv2d", filters: 6, kernelSize: 1 },
    { kind: "depthwise-conv2d", kernelSize: 3, strides: 2, activation: "tanh" },
  ),
  "max-pool": classes(
    [9, 8, 2],
    { kind: "conv2d", filters: 5, kernelSize: 3 },
    { kind: "max-pool", size: 2 },
  ),
  "max-pool of sequences": classes(
    [17, 3],
    { kind: "conv1d", filters: 5, kernelSize: 3 },
    { kind: "max-pool", size: 3 },
  ),
  "average-pool": classes(
    [9, 8, 2],
    { kind: "conv2d", filters: 5, kernelSize: 3 },
    { kind: "average-pool", size: 3 },
  ),
  "average-pool of sequences": classes(
    [17, 3],
    { kind: "conv1d", filters: 5, kernelSize: 3 },
    { kind: "average-pool", size: 2 },
  ),
  "global-average-pool": classes(
    [6, 5, 2],
    { kind: "conv2d", filters: 5, kernelSize: 3, activation: "relu" },
    { kind: "global-average-pool" },
  ),
  reshape: classes(
    [24],
    { kind: "dense", units: 24, activation: "tanh" },
    { kind: "reshape", shape: [4, 3, 2] },
    { kind: "conv2d", filters: 3, kernelSize: 2 },
  ),
  embedding: classes([7], { kind: "embedding", vocabulary: 11, units: 5 }),
  lstm: classes([7, 3], { kind: "lstm", units: 5 }),
  "lstm of sequences": classes(
    [5, 3],
    { kind: "lstm", units: 7, sequences: true },
    { kind: "lstm", units: 4 },
  ),
  gru: classes([7, 3], { kind: "gru", units: 5 }),
  "gru of sequences": classes(
    [5, 3],
    { kind: "gru", units: 7, sequences: true },
    { kind: "gru", units: 4 },
  ),
  "batch-norm": classes(
    [7],
    { kind: "dense", units: 5 },
    { kind: "batch-norm" },
    { kind: "dense", units: 5, activation: "relu" },
  ),
  "batch-norm of images": classes(
    [6, 5, 2],
    { kind: "batch-norm", momentum: 0.9, epsilon: 1e-2 },
    { kind: "conv2d", filters: 5, kernelSize: 3 },
    { kind: "batch-norm" },
  ),
  dropout: classes(
    [7],
    { kind: "dense", units: 13, activation: "relu" },
    { kind: "dropout", rate: 0.4 },
  ),
  "stacked images": classes(
    [12, 12, 1],
    { kind: "conv2d", filters: 6, kernelSize: 3, activation: "relu" },
    { kind: "max-pool", size: 2 },
    { kind: "depthwise-conv2d", kernelSize: 3, padding: "same" },
    { kind: "conv2d", filters: 7, kernelSize: 1 },
    { kind: "batch-norm" },
    { kind: "average-pool", size: 2 },
    { kind: "flatten" },
    { kind: "dense", units: 9, activation: "tanh" },
    { kind: "dropout", rate: 0.25 },
  ),
  "stacked sequences": classes(
    [9],
    { kind: "embedding", vocabulary: 13, units: 6 },
    { kind: "conv1d", filters: 8, kernelSize: 3, padding: "same", activation: "relu" },
    { kind: "gru", units: 6, sequences: true },
    { kind: "lstm", units: 5 },
  ),
};

/** Which kinds of layers a model has. */
export function kindsOf(spec: ModelSpec): readonly string[] {
  return spec.layers.map(({ kind }) => kind);
}

/** Samples that fit a model. */
export function samplesFor(spec: ModelSpec, count: number, random: Random): Samples {
  const { inputSize, outputSize } = layOut(spec);
  const [first] = spec.layers;
  const draw = (): number =>
    first?.kind === "embedding"
      ? Math.floor(first.vocabulary * random.next())
      : 2 * random.next() - 1;
  const features = Float32Array.from({ length: count * inputSize }, draw);
  const targets =
    spec.loss === "softmax-cross-entropy"
      ? Int32Array.from({ length: count }, () => Math.floor(outputSize * random.next()))
      : Float32Array.from({ length: count * outputSize }, () => random.next());
  return { count, features, targets };
}
