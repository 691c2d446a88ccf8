import type * as Core from "@tensorflow/tfjs-core";
import type * as Layers from "@tensorflow/tfjs-layers";

/** What is used of TensorFlow.js, from the two packages or from the one of `tfjs-node`. */
export type TensorFlow = typeof Core & Pick<typeof Layers, "layers" | "sequential">;
