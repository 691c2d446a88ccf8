import * as Type from "typebox";
import { kind, size, strict } from "./schema-words.ts";

const spread = Type.Number({ exclusiveMinimum: 0, maximum: 1_000 });
const activation = Type.Optional(Type.Enum(["linear", "relu", "sigmoid", "tanh"]));
const initializer = Type.Optional(
  Type.Union([
    Type.Enum([
      "glorot-uniform",
      "glorot-normal",
      "he-uniform",
      "he-normal",
      "lecun-uniform",
      "lecun-normal",
    ]),
    Type.Object({ kind: kind("uniform"), limit: spread }, strict),
    Type.Object({ kind: kind("normal"), deviation: spread }, strict),
  ]),
);
const convolution = {
  kernelSize: size(1_024),
  strides: Type.Optional(size(1_024)),
  padding: Type.Optional(Type.Enum(["valid", "same"])),
  activation,
  initializer,
  biasInitializer: initializer,
};
/** A layer, by its `kind`; see `LayerSpec`. */
export const layerOptions = Type.Union([
  Type.Object(
    {
      kind: kind("dense"),
      units: size(1_000_000),
      activation,
      initializer,
      biasInitializer: initializer,
    },
    strict,
  ),
  Type.Object({ kind: kind("conv1d"), filters: size(65_536), ...convolution }, strict),
  Type.Object({ kind: kind("conv2d"), filters: size(65_536), ...convolution }, strict),
  Type.Object({ kind: kind("depthwise-conv2d"), ...convolution }, strict),
  Type.Object({ kind: kind("max-pool"), size: size(1_024) }, strict),
  Type.Object({ kind: kind("average-pool"), size: size(1_024) }, strict),
  Type.Object({ kind: kind("global-average-pool") }, strict),
  Type.Object({ kind: kind("flatten") }, strict),
  Type.Object(
    { kind: kind("reshape"), shape: Type.Array(size(1_000_000), { minItems: 1, maxItems: 4 }) },
    strict,
  ),
  Type.Object(
    {
      kind: kind("lstm"),
      units: size(65_536),
      sequences: Type.Optional(Type.Boolean()),
      initializer,
    },
    strict,
  ),
  Type.Object(
    {
      kind: kind("gru"),
      units: size(65_536),
      sequences: Type.Optional(Type.Boolean()),
      initializer,
    },
    strict,
  ),
  Type.Object(
    {
      kind: kind("batch-norm"),
      momentum: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
      epsilon: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 1 })),
    },
    strict,
  ),
  Type.Object(
    { kind: kind("dropout"), rate: Type.Number({ minimum: 0, exclusiveMaximum: 1 }) },
    strict,
  ),
]);

/** Layers of a model whose input follows from its data; see `LayerSpec`. */
export const modelOptions = Type.Object(
  { layers: Type.Array(layerOptions, { minItems: 1, maxItems: 256 }) },
  strict,
);
