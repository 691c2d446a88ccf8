import { shuffle } from "../federated/data/draw.ts";
import { SeededRandom } from "../platform/seeded-random.ts";
import type { LearningWorld } from "./learning-world.ts";
import { PlainTrainingBackend } from "./plain-training-backend.ts";

/** More agents, and more rounds, change little. */
const AGENTS_MAX = 24;
const ROUNDS_MAX = 60;

/**
 * What as many rounds come to where nothing goes wrong: all agents train in each, one after the other, and the mean of their weights by
 * samples is the next model (McMahan et al. 2017), without a mesh or anything else of an agent's.
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
  const total = samples.reduce((sum, { count }) => sum + count, 0);
  const { client } = world.spec;
  if (client.kind !== "local") throw new Error("agents train with local");
  let head = world.firstWeights;
  for (let round = 0; round < Math.min(rounds, ROUNDS_MAX); round++) {
    const mean = new Float32Array(head.length);
    for (const own of samples) {
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
  }
  const accuracy = accuracyOf(world, head);
  backend.dispose();
  return accuracy;
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
