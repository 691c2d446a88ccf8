import * as Type from "typebox";
import type { ModelSpec } from "../../platform/training-backend.ts";
import { layOut } from "../../platform/training-layout.ts";
import { modelOptions } from "../options/model-options.ts";
import { kind, rate, size, strict } from "../options/schema-words.ts";

/** Values that agents tell each other in a round at most. */
const ANSWERS_MAX = 4_194_304;
const count = size(100_000, 1_000);

/** The networks by name, and how a model learns from the answers of others. @param who trains which of them */
export const teachingSteps = (who: string) => ({
  architectures: Type.Record(Type.String({ pattern: "^[a-z][a-z0-9-]{0,30}$" }), modelOptions, {
    minProperties: 1,
    maxProperties: 8,
    description: who,
  }),
  epochs: size(1_000, 1),
  batchSize: size(1_000_000, 20),
  learningRate: rate,
});

/** How agents with models of several architectures teach each other. */
export const taskTeachingOptions = Type.Object(
  {
    ...teachingSteps(
      "Networks besides `model`, by name; `learning.architecture` of an agent says which it trains.",
    ),
    transfer: Type.Union(
      [
        Type.Object(
          {
            kind: kind("dataset"),
            name: Type.String({
              pattern: "^[a-z][a-z0-9-]{0,62}$",
              description: "As `learning.datasets` of each agent names the same public samples.",
            }),
            count,
            sha256: Type.Optional(
              Type.String({
                pattern: "^[0-9a-f]{64}$",
                description:
                  "Of their features, as float32; of the samples that the agent has which starts the task unless given.",
              }),
            ),
          },
          { ...strict, description: "The first training samples of a dataset that all have." },
        ),
        Type.Object(
          {
            kind: kind("generated"),
            count,
            mean: Type.Number({ default: 0 }),
            deviation: Type.Number({ default: 1, exclusiveMinimum: 0 }),
          },
          { ...strict, description: "Each value drawn from a normal distribution, by the seed." },
        ),
      ],
      { description: "What all models answer on." },
    ),
  },
  {
    ...strict,
    description:
      "Agents tell each other answers instead of weights, so that a small network and a large one learn from each other.",
  },
);

/** @see taskTeachingOptions */
export type TaskTeaching = Type.Static<typeof taskTeachingOptions>;

/** The network of a task that is in none of its `architectures`. */
const OWN_NETWORK = "model";

/** @returns which network an agent trains that wants the one of that name: `model` where the task names none of it */
export function networkName(
  { architectures }: Pick<TaskTeaching, "architectures">,
  wanted: string | undefined,
): string {
  return wanted !== undefined && Object.hasOwn(architectures, wanted) ? wanted : OWN_NETWORK;
}

/** @returns the network of that name */
export function networkOf(
  model: ModelSpec,
  { architectures }: Pick<TaskTeaching, "architectures">,
  name: string,
): ModelSpec {
  const layers = architectures[name]?.layers;
  return layers === undefined ? model : { ...model, layers };
}

/** @returns how many values an agent answers with: so many for each class and sample */
export function answersCount(model: ModelSpec, { transfer }: TaskTeaching): number {
  return transfer.count * layOut(model).outputSize;
}

/** @returns in words why these networks can not teach each other. @throws TrainingError for a network that can not be */
export function teachingFault(model: ModelSpec, teaching: TaskTeaching): string | undefined {
  if (model.loss !== "softmax-cross-entropy")
    return `teaching: models answer with classes, so model.loss has to be softmax-cross-entropy, not ${model.loss}`;
  if (Object.hasOwn(teaching.architectures, OWN_NETWORK))
    return `teaching.architectures.${OWN_NETWORK}: so the task's own network is called; take another name`;
  const { outputSize } = layOut(model);
  for (const name of Object.keys(teaching.architectures)) {
    const outputs = layOut(networkOf(model, teaching, name)).outputSize;
    if (outputs !== outputSize)
      return `teaching.architectures.${name} gives ${outputs} numbers, model ${outputSize}: let the last layers have the same number of units`;
  }
  const answers = answersCount(model, teaching);
  return answers > ANSWERS_MAX
    ? `teaching.transfer.count: ${answers} answers of each agent, ${ANSWERS_MAX} at most`
    : undefined;
}
