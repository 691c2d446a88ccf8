import { SimdTrainingBackend } from "../../platform/simd/training-backend.ts";
import { SimdVectorMath } from "../../platform/simd/vector-math-simd.ts";
import type { TrainingBackend } from "../../platform/training-backend.ts";
import type { VectorMath } from "../../platform/vector-math.ts";

/** What a run computes with: the fastest that is at hand. This is the place to change it. */
export interface LabGround {
  readonly backend: TrainingBackend;
  readonly math: VectorMath;
}

/** One thread for each: `--jobs` puts the other cores to use. */
export function openGround(): LabGround {
  return { backend: new SimdTrainingBackend(), math: new SimdVectorMath() };
}
