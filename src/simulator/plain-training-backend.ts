import type { Random } from "../platform/random.ts";
import type { ModelSpec, TrainableModel, TrainingBackend } from "../platform/training-backend.ts";
import { initialWeights } from "../platform/training-initial-weights.ts";
import { layOut } from "../platform/training-layout.ts";
import { PlainModel } from "./plain-model.ts";

/**
 * Training in plain TypeScript: dense layers, flatten, dropout and batch normalization, enough for small models without
 * any technology. The same spec, weights and order give the same bits everywhere.
 */
export class PlainTrainingBackend implements TrainingBackend {
  readonly name = "plain";
  readonly #models = new Set<PlainModel>();

  build(spec: ModelSpec, random: Random): TrainableModel {
    const layout = layOut(spec);
    const model = new PlainModel(spec, layout, initialWeights(layout, random), () => {
      this.#models.delete(model);
    });
    this.#models.add(model);
    return model;
  }

  bytes(): number {
    let sum = 0;
    for (const model of this.#models) sum += model.bytes;
    return sum;
  }

  dispose(): void {
    for (const model of this.#models) model.dispose();
  }
}
