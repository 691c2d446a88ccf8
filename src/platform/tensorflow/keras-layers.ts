import type { layers } from "@tensorflow/tfjs-layers";
import { type LayerSpec, TrainingError } from "../training-backend.ts";
import { type ModelLayout, type PlacedLayer, sizeOf } from "../training-layout.ts";
import type { TensorFlow } from "./library.ts";
import { type DropoutPass, seededDropout } from "./seeded-dropout.ts";

/** @returns a layers model of the same shape, with whatever first weights the library gives it */
export function kerasModel(
  tf: TensorFlow,
  layout: ModelLayout,
  inputShape: readonly number[],
  pass: DropoutPass,
): ReturnType<TensorFlow["sequential"]> {
  const model = tf.sequential();
  for (const [at, placed] of layout.layers.entries()) {
    const first = at === 0 ? { inputShape: [...inputShape] } : {};
    try {
      if (at === 0 && placed.spec.kind === "dropout")
        model.add(tf.layers.activation({ activation: "linear", ...first }));
      model.add(kerasLayer(tf, placed, first, pass));
    } catch (error) {
      const what = error instanceof Error ? error.message : String(error);
      throw new TrainingError(
        "training.model",
        `layer ${at} (${placed.spec.kind}): TensorFlow.js refuses it: ${what}`,
        { cause: error },
      );
    }
  }
  return model;
}

function kerasLayer(
  tf: TensorFlow,
  { spec, index, inputShape }: PlacedLayer,
  first: { inputShape?: number[] },
  pass: DropoutPass,
): layers.Layer {
  const isSequence = inputShape.length === 2;
  switch (spec.kind) {
    case "dense":
      return tf.layers.dense({ ...first, units: spec.units, activation: activationOf(spec) });
    case "conv1d":
      return tf.layers.conv1d({ ...first, ...convolution(spec), filters: spec.filters });
    case "conv2d":
      return tf.layers.conv2d({ ...first, ...convolution(spec), filters: spec.filters });
    case "depthwise-conv2d":
      return tf.layers.depthwiseConv2d({ ...first, ...convolution(spec) });
    case "max-pool":
      return isSequence
        ? tf.layers.maxPooling1d({ ...first, poolSize: spec.size, strides: spec.size })
        : tf.layers.maxPooling2d({ ...first, poolSize: spec.size, strides: spec.size });
    case "average-pool":
      return isSequence
        ? tf.layers.averagePooling1d({ ...first, poolSize: spec.size, strides: spec.size })
        : tf.layers.averagePooling2d({ ...first, poolSize: spec.size, strides: spec.size });
    case "global-average-pool":
      return isSequence
        ? tf.layers.globalAveragePooling1d({ ...first })
        : tf.layers.globalAveragePooling2d({ ...first });
    case "flatten":
      // The library's own refuses what is flat already.
      return tf.layers.reshape({ ...first, targetShape: [sizeOf(inputShape)] });
    case "reshape":
      return tf.layers.reshape({ ...first, targetShape: [...spec.shape] });
    case "embedding":
      return tf.layers.embedding({ ...first, inputDim: spec.vocabulary, outputDim: spec.units });
    case "lstm":
      return tf.layers.lstm({ ...first, ...recurrent(spec), unitForgetBias: false });
    case "gru":
      return tf.layers.gru({ ...first, ...recurrent(spec) });
    case "batch-norm": {
      const { momentum = 0.99, epsilon = 1e-3 } = spec;
      return tf.layers.batchNormalization({ ...first, momentum, epsilon });
    }
    case "dropout":
      break;
  }
  return seededDropout(tf, spec.rate, index, pass);
}

function activationOf({ activation = "linear" }: Extract<LayerSpec, { activation?: unknown }>) {
  return activation;
}

function convolution(spec: Extract<LayerSpec, { kind: "conv1d" | "conv2d" | "depthwise-conv2d" }>) {
  const { kernelSize, strides = 1, padding = "valid" } = spec;
  return { kernelSize, strides, padding, activation: activationOf(spec) };
}

function recurrent({ units, sequences = false }: Extract<LayerSpec, { kind: "lstm" | "gru" }>) {
  return {
    units,
    returnSequences: sequences,
    activation: "tanh",
    recurrentActivation: "sigmoid",
    recurrentInitializer: "zeros",
  } as const;
}
