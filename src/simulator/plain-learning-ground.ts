import { combine, inspect } from "../federated/combining/combine.ts";
import { packUpdate } from "../federated/compression/pack-update.ts";
import type { Dataset } from "../federated/data/dataset.ts";
import type { LearningGround } from "../federated/running/learning-ground.ts";
import { PlainVectorMath } from "../federated/strategies/plain-vector-math.ts";
import type { Clock } from "../platform/clock.ts";
import { SeededRandom } from "../platform/seeded-random.ts";
import { PlainTrainingRunner } from "./plain-training-runner.ts";

/** Of sixteen steps of a small model. */
const SLICE_MS = 50;

/** Learning without any technology: real models and real aggregation, in virtual time. */
export function plainLearningGround(
  clock: Pick<Clock, "setTimer">,
  dataset: (name: string) => Dataset | undefined,
): LearningGround {
  const training = new PlainTrainingRunner(clock, SLICE_MS);
  const math = new PlainVectorMath();
  return {
    training,
    combine: (job, seed) => Promise.resolve(combine(job, { math, random: new SeededRandom(seed) })),
    inspect: (bytes, form) => Promise.resolve(inspect(bytes, form)),
    pack: (job) => Promise.resolve(packUpdate(job)),
    dataset: (name) => Promise.resolve(dataset(name)),
    close: () => training.close(),
  };
}
