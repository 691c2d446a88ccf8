import { SeededRandom } from "../../platform/seeded-random.ts";
import { initialWeights } from "../../platform/training-initial-weights.ts";
import { layOut } from "../../platform/training-layout.ts";
import { bytesOfWeights } from "../combining/weights-codec.ts";
import type { TaskSpec } from "../tasks/task-spec.ts";

/** @returns the weights that a task begins with, drawn from its seed: the same bits wherever that is done */
export function firstWeights(spec: TaskSpec): Uint8Array {
  return bytesOfWeights(
    initialWeights(layOut(spec.model), new SeededRandom(`learning/${spec.seed}`)),
  );
}
