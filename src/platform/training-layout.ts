import {
  type Activation,
  type Initializer,
  type LayerSpec,
  type ModelSpec,
  type ParameterInfo,
  TrainingError,
} from "./training-backend.ts";
import { faultOf } from "./training-initializer.ts";

/** Layers of one model. */
const LAYERS_MAX = 256;
/** Parameters of one model: 200 MB of float32. */
const PARAMETERS_MAX = 50_000_000;
/** Values of one sample between two layers, and of the patches that a convolution looks at. */
const VALUES_MAX = 16_777_216;
/** Axes of one sample. */
const AXES_MAX = 4;

/** A layer in its place. */
export interface PlacedLayer {
  readonly index: number;
  readonly spec: LayerSpec;
  /** Of one sample. */
  readonly inputShape: readonly number[];
  readonly outputShape: readonly number[];
  readonly parameters: readonly ParameterInfo[];
}

/** A model's layers with their shapes, and where its parameters lie. */
export interface ModelLayout {
  readonly layers: readonly PlacedLayer[];
  readonly parameters: readonly ParameterInfo[];
  readonly parameterCount: number;
  readonly inputSize: number;
  readonly outputShape: readonly number[];
  readonly outputSize: number;
}

/**
 * Checks a spec and lays it out; every backend has its parameters in this order.
 * @throws TrainingError `training.model` naming the layer, the setting and what it may be
 */
export function layOut(spec: ModelSpec): ModelLayout {
  if (!Array.isArray(spec.layers) || spec.layers.length < 1 || spec.layers.length > LAYERS_MAX)
    throw new TrainingError("training.model", `layers: a model has 1 to ${LAYERS_MAX}`);
  checkShape(spec.inputShape, "inputShape");
  const layers: PlacedLayer[] = [];
  let shape = spec.inputShape;
  let offset = 0;
  for (const [index, layer] of spec.layers.entries()) {
    const refuse = (what: string): never => {
      throw new TrainingError("training.model", `layer ${index} (${layer.kind}): ${what}`);
    };
    const { outputShape, tensors } = place(layer, shape, index, refuse);
    if (sizeOf(outputShape) > VALUES_MAX)
      refuse(`gives more than ${VALUES_MAX} values a sample; make it smaller`);
    const parameters = tensors.map(([name, role, tensorShape]): ParameterInfo => {
      const size = sizeOf(tensorShape);
      const info = { name: `${index}/${name}`, layer: index, shape: tensorShape, offset, size };
      offset += size;
      if (offset > PARAMETERS_MAX)
        refuse(`the model has more than ${PARAMETERS_MAX} parameters; make it smaller`);
      return { ...info, role };
    });
    layers.push({ index, spec: layer, inputShape: shape, outputShape, parameters });
    shape = outputShape;
  }
  checkLoss(spec, shape);
  return {
    layers,
    parameters: layers.flatMap(({ parameters }) => parameters),
    parameterCount: offset,
    inputSize: sizeOf(spec.inputShape),
    outputShape: shape,
    outputSize: sizeOf(shape),
  };
}

/** @returns how many places a window of `kernelSize` has along `length`, and how much is added before the first. */
export function windows(
  length: number,
  kernelSize: number,
  strides: number,
  padding: "valid" | "same",
): { readonly count: number; readonly before: number } {
  if (padding === "valid")
    return { count: Math.max(0, Math.floor((length - kernelSize) / strides) + 1), before: 0 };
  const count = Math.ceil(length / strides);
  const added = Math.max(0, (count - 1) * strides + kernelSize - length);
  return { count, before: Math.floor(added / 2) };
}

/** @returns the product of a shape's sizes. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

type Tensor = readonly [name: string, role: ParameterInfo["role"], shape: readonly number[]];
interface Placed {
  readonly outputShape: readonly number[];
  readonly tensors: readonly Tensor[];
}

function place(
  spec: LayerSpec,
  shape: readonly number[],
  index: number,
  refuse: (what: string) => never,
): Placed {
  const last = shape.at(-1) ?? 0;
  const outer = shape.slice(0, -1);
  const axes = (count: number, what: string) => {
    if (shape.length !== count)
      refuse(`takes ${what}, not [${shape.join(", ")}]; put a reshape or flatten before it`);
  };
  const size = (name: string, value: number) => {
    if (!Number.isSafeInteger(value) || value < 1 || value > VALUES_MAX)
      refuse(`${name}: a whole number above zero, not ${value}`);
  };
  switch (spec.kind) {
    case "dense":
      size("units", spec.units);
      checkActivation(spec.activation, refuse);
      checkInitializer("initializer", spec.initializer, refuse);
      checkInitializer("biasInitializer", spec.biasInitializer, refuse);
      return {
        outputShape: [...outer, spec.units],
        tensors: [
          ["kernel", "weight", [last, spec.units]],
          ["bias", "bias", [spec.units]],
        ],
      };
    case "conv1d":
    case "conv2d":
    case "depthwise-conv2d": {
      const dimensions = spec.kind === "conv1d" ? 1 : 2;
      axes(dimensions + 1, dimensions === 1 ? "[steps, channels]" : "[height, width, channels]");
      const { kernelSize, strides = 1, padding = "valid", activation } = spec;
      size("kernelSize", kernelSize);
      size("strides", strides);
      if (padding !== "valid" && padding !== "same") refuse('padding: "valid" or "same"');
      checkActivation(activation, refuse);
      checkInitializer("initializer", spec.initializer, refuse);
      checkInitializer("biasInitializer", spec.biasInitializer, refuse);
      const filters = spec.kind === "depthwise-conv2d" ? last : spec.filters;
      size("filters", filters);
      const places = outer.map((length) => windows(length, kernelSize, strides, padding).count);
      if (places.includes(0))
        refuse(`kernelSize ${kernelSize} is more than [${shape.join(", ")}] has room for`);
      if (sizeOf(places) * kernelSize ** dimensions * last > VALUES_MAX)
        refuse(`looks at more than ${VALUES_MAX} values a sample; make it smaller`);
      const window = Array.from({ length: dimensions }, () => kernelSize);
      const ends = spec.kind === "depthwise-conv2d" ? [last, 1] : [last, filters];
      return {
        outputShape: [...places, filters],
        tensors: [
          ["kernel", "weight", [...window, ...ends]],
          ["bias", "bias", [filters]],
        ],
      };
    }
    case "max-pool":
    case "average-pool": {
      size("size", spec.size);
      if (shape.length < 2 || shape.length > 3)
        refuse(`takes [steps, channels] or [height, width, channels], not [${shape.join(", ")}]`);
      const places = outer.map((length) => Math.floor(length / spec.size));
      if (places.includes(0))
        refuse(`size ${spec.size} is more than [${shape.join(", ")}] has room for`);
      return { outputShape: [...places, last], tensors: [] };
    }
    case "global-average-pool":
      if (shape.length < 2 || shape.length > 3)
        refuse(`takes [steps, channels] or [height, width, channels], not [${shape.join(", ")}]`);
      return { outputShape: [last], tensors: [] };
    case "flatten":
      return { outputShape: [sizeOf(shape)], tensors: [] };
    case "reshape":
      checkShape(spec.shape, `layer ${index} (reshape): shape`);
      if (sizeOf(spec.shape) !== sizeOf(shape))
        refuse(`[${shape.join(", ")}] can not become [${spec.shape.join(", ")}]`);
      return { outputShape: spec.shape, tensors: [] };
    case "embedding":
      if (index !== 0) refuse("has to be the first layer");
      axes(1, "[steps]");
      size("vocabulary", spec.vocabulary);
      size("units", spec.units);
      return {
        outputShape: [last, spec.units],
        tensors: [["embeddings", "weight", [spec.vocabulary, spec.units]]],
      };
    case "lstm":
    case "gru": {
      axes(2, "[steps, channels]");
      size("units", spec.units);
      checkInitializer("initializer", spec.initializer, refuse);
      const width = (spec.kind === "lstm" ? 4 : 3) * spec.units;
      return {
        outputShape: spec.sequences === true ? [...outer, spec.units] : [spec.units],
        tensors: [
          ["kernel", "weight", [last, width]],
          ["recurrent_kernel", "weight", [spec.units, width]],
          ["bias", "bias", [width]],
        ],
      };
    }
    case "batch-norm": {
      const { momentum = 0.99, epsilon = 1e-3 } = spec;
      if (!(momentum >= 0 && momentum <= 1)) refuse(`momentum: from 0 to 1, not ${momentum}`);
      if (!(epsilon > 0 && epsilon <= 1)) refuse(`epsilon: above 0, at most 1, not ${epsilon}`);
      return {
        outputShape: shape,
        tensors: [
          ["gamma", "normalization", [last]],
          ["beta", "normalization", [last]],
          ["moving_mean", "statistics", [last]],
          ["moving_variance", "statistics", [last]],
        ],
      };
    }
    case "dropout":
      if (!(spec.rate >= 0 && spec.rate < 1)) refuse(`rate: from 0 to below 1, not ${spec.rate}`);
      return { outputShape: shape, tensors: [] };
    default:
      return refuse("there is no such kind of layer");
  }
}

function checkActivation(
  activation: Activation | undefined,
  refuse: (what: string) => never,
): void {
  const known = ["linear", "relu", "sigmoid", "tanh", "softmax"];
  if (activation !== undefined && !known.includes(activation))
    refuse(`activation: one of ${known.join(", ")}, not ${activation}`);
}

function checkInitializer(
  name: "initializer" | "biasInitializer",
  initializer: Initializer | undefined,
  refuse: (what: string) => never,
): void {
  const fault = initializer === undefined ? undefined : faultOf(initializer);
  if (fault !== undefined) refuse(`${name}: ${fault}, not ${JSON.stringify(initializer)}`);
}

function checkLoss({ loss, layers }: ModelSpec, outputShape: readonly number[]): void {
  const refuse = (what: string) => {
    throw new TrainingError("training.model", `loss ${loss}: ${what}`);
  };
  if (!["softmax-cross-entropy", "sigmoid-cross-entropy", "mean-squared-error"].includes(loss))
    refuse("one of softmax-cross-entropy, sigmoid-cross-entropy, mean-squared-error");
  const last = layers.at(-1);
  const activation = last !== undefined && "activation" in last ? last.activation : undefined;
  if (loss !== "mean-squared-error" && activation !== undefined && activation !== "linear")
    refuse(`takes logits; the last layer's activation has to be linear, not ${activation}`);
  if (loss === "softmax-cross-entropy" && outputShape.length !== 1)
    refuse(`takes one axis of logits, not [${outputShape.join(", ")}]; put a flatten at the end`);
}

function checkShape(shape: readonly number[], name: string): void {
  const fits =
    Array.isArray(shape) &&
    shape.length >= 1 &&
    shape.length <= AXES_MAX &&
    shape.every((size) => Number.isSafeInteger(size) && size > 0) &&
    sizeOf(shape) <= VALUES_MAX;
  if (!fits)
    throw new TrainingError(
      "training.model",
      `${name}: 1 to ${AXES_MAX} whole numbers above zero with a product of at most ${VALUES_MAX}`,
    );
}
