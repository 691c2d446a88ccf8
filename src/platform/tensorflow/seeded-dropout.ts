import type { Tensor } from "@tensorflow/tfjs-core";
import type { layers } from "@tensorflow/tfjs-layers";
import { dropoutKey, mix } from "../training-dropout.ts";
import type { TensorFlow } from "./library.ts";

/** Which masks are drawn, while the model is applied. */
export interface DropoutPass {
  /** Off outside of training. */
  isOn: boolean;
  seed: number;
  step: number;
}

/** A dropout layer that draws the masks that all our backends draw; the library's own has a state that no one can set. */
export function seededDropout(
  tf: TensorFlow,
  rate: number,
  index: number,
  pass: DropoutPass,
): layers.Layer {
  class SeededDropout extends tf.layers.Layer {
    static className = "SeededDropout";
    override call(inputs: Tensor | Tensor[]): Tensor {
      const input = Array.isArray(inputs) ? (inputs[0] as Tensor) : inputs;
      if (!pass.isOn || rate === 0) return input.clone();
      const key = dropoutKey(pass.seed, pass.step, index);
      const threshold = Math.ceil(rate * 2 ** 24);
      const factors = new Float32Array(input.size);
      for (let at = 0; at < factors.length; at++) {
        const bits = mix((key + Math.imul(at, 0x9e3779b1)) | 0);
        factors[at] = bits >>> 8 < threshold ? 0 : 1 / (1 - rate);
      }
      return tf.mul(input, tf.tensor(factors, input.shape));
    }
  }
  return new SeededDropout({});
}
