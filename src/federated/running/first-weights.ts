import { SeededRandom } from "../../platform/seeded-random.ts";
import { initialWeights } from "../../platform/training-initial-weights.ts";
import { layOut } from "../../platform/training-layout.ts";
import { bytesOfWeights } from "../combining/weights-codec.ts";
import { sharedValues } from "../tasks/shared-values.ts";
import type { TaskSpec } from "../tasks/task-spec.ts";

/**
 * @returns the weights that a task begins with, drawn from its seed: the same bits wherever that is done; where agents agree on answers,
 * none that anybody has given
 */
export function firstWeights(spec: TaskSpec): Uint8Array {
  if (spec.teaching !== undefined) return bytesOfWeights(new Float32Array(sharedValues(spec)));
  return bytesOfWeights(
    initialWeights(layOut(spec.model), new SeededRandom(`learning/${spec.seed}`)),
  );
}
