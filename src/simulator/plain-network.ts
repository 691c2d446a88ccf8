import { TrainingError } from "../platform/training-backend.ts";
import { type ModelLayout, type PlacedLayer, sizeOf } from "../platform/training-layout.ts";
import { PlainBatchNorm } from "./plain-batch-norm.ts";
import { PlainDense } from "./plain-dense.ts";
import { PlainDropout } from "./plain-dropout.ts";
import type { PlainLayer } from "./plain-layer.ts";

/** @returns what computes each layer @throws TrainingError `training.model` naming what this backend has not */
export function plainLayers(layout: ModelLayout): readonly PlainLayer[] {
  return layout.layers.flatMap(plainLayer);
}

/** @returns nothing where values stay as they are */
function plainLayer({ index, spec, inputShape, parameters }: PlacedLayer): readonly PlainLayer[] {
  const size = sizeOf(inputShape);
  const channels = inputShape.at(-1) ?? 1;
  const offset = parameters[0]?.offset ?? 0;
  switch (spec.kind) {
    case "dense": {
      const { units, activation = "linear" } = spec;
      if (activation === "softmax")
        throw refusal(index, "dense with softmax; take the loss softmax-cross-entropy on logits");
      return [
        new PlainDense({ rows: size / channels, inputs: channels, units, activation, offset }),
      ];
    }
    case "flatten":
    case "reshape":
      return [];
    case "dropout":
      return [new PlainDropout(size, spec.rate, index)];
    case "batch-norm": {
      const { momentum = 0.99, epsilon = 1e-3 } = spec;
      return [new PlainBatchNorm(size, channels, { momentum, epsilon }, offset)];
    }
    case "conv1d":
    case "conv2d":
    case "depthwise-conv2d":
    case "max-pool":
    case "average-pool":
    case "global-average-pool":
    case "embedding":
    case "lstm":
    case "gru":
    default:
      throw refusal(index, spec.kind);
  }
}

function refusal(index: number, what: string): TrainingError {
  return new TrainingError(
    "training.model",
    `layer ${index}: the plain backend has no ${what}, only dense, flatten, reshape, dropout and batch-norm`,
  );
}
