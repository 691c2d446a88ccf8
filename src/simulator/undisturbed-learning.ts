import { shuffle } from "../federated/data/draw.ts";
import type { Random } from "../platform/random.ts";
import { SeededRandom } from "../platform/seeded-random.ts";
import type { LearningWorld } from "./learning-world.ts";
import { PlainTrainingBackend } from "./plain-training-backend.ts";

/** More agents, and more rounds, change little. */
const AGENTS_MAX = 24;
const ROUNDS_MAX = 60;
/** Models swing from round to round where few are counted, so that accuracy is that of so many, the last ones, in the mean. */
export const JUDGED_MODELS = 5;

/**
 * What as many rounds come to where nothing goes wrong: all agents train in each, or as many as an asynchronous round waits for, one after
 * the other, and the mean of their weights by samples is the next model (McMahan et al. 2017), without a mesh or anything else of an agent's.
 * @param names of agents, whose samples are used
 * @returns the accuracy on samples that no agent has
 */
export function undisturbedAccuracy(
  world: LearningWorld,
  names: readonly string[],
  rounds: number,
): number {
  const backend = new PlainTrainingBackend();
  const random = new SeededRandom("undisturbed");
  const model = backend.build(world.spec.model, random);
  const samples = names.slice(0, AGENTS_MAX).map((name) => world.dataset(name).train);
  const { client, pace } = world.spec;
  const asked = pace.buffered?.updates ?? samples.length;
  if (client.kind !== "local") throw new Error("agents train with local");
  let head = world.firstWeights;
  const accuracies: number[] = [];
  for (let round = 0; round < Math.min(rounds, ROUNDS_MAX); round++) {
    const mean = new Float32Array(head.length);
    const counted =
      asked < samples.length ? someOf(samples, asked, random.fork(`${round}`)) : samples;
    const total = counted.reduce((sum, { count }) => sum + count, 0);
    for (const own of counted) {
      model.write(head);
      const places = Int32Array.from({ length: own.count }, (_, at) => at);
      const { batchSize, learningRate } = client;
      model.train(own, { order: shuffle(places, random), batchSize, learningRate });
      const weights = new Float32Array(head.length);
      model.read(weights);
      for (const [at, value] of weights.entries())
        mean[at] = (mean[at] ?? 0) + (value * own.count) / total;
    }
    head = mean;
    if (round >= rounds - JUDGED_MODELS || round >= ROUNDS_MAX - JUDGED_MODELS)
      accuracies.push(accuracyOf(world, head));
  }
  backend.dispose();
  return accuracies.reduce((sum, accuracy) => sum + accuracy, 0) / accuracies.length;
}

function someOf<T>(all: readonly T[], count: number, random: Random): readonly T[] {
  const places = shuffle(Int32Array.from(all.keys()), random);
  return Array.from(places.subarray(0, count), (at) => all[at] as T);
}

/** @returns how good a model is on samples that no agent has */
export function accuracyOf(world: LearningWorld, weights: Float32Array): number {
  const backend = new PlainTrainingBackend();
  const model = backend.build(world.spec.model, new SeededRandom("judge"));
  model.write(weights);
  const { accuracy } = model.evaluate(world.test);
  backend.dispose();
  return accuracy ?? 0;
}
