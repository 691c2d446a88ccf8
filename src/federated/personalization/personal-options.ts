import * as Type from "typebox";
import type { ModelSpec } from "../../platform/training-backend.ts";
import { layOut } from "../../platform/training-layout.ts";
import { kind, rate, size, strict } from "../options/schema-words.ts";
import { hasNormalization } from "./fed-bn.ts";

/** The largest own model that is kept: 64 MiB. */
const PARAMETERS_MAX = 16_777_216;

const predict = Type.Enum(["own", "global"], {
  default: "own",
  description: "Which model answers where nobody asks for one of them.",
});
const training = {
  epochs: size(1_000, 1),
  batchSize: size(1_000_000, 10),
  learningRate: rate,
};

/** How agents make the global model their own, by its `kind`. */
export const personalOptions = Type.Union(
  [
    Type.Object(
      { kind: kind("fine-tune"), ...training, predict },
      { ...strict, description: "Each new model is trained on, on this agent's samples alone." },
    ),
    Type.Object(
      {
        kind: kind("ditto"),
        lambda: Type.Number({
          minimum: 0,
          maximum: 1_000,
          default: 0.1,
          description: "How strongly it is held to the global model.",
        }),
        ...training,
        predict,
      },
      { ...strict, description: "A model beside the global one (Li et al. 2021)." },
    ),
    Type.Object(
      { kind: kind("fed-bn"), predict },
      { ...strict, description: "Batch normalisation stays at each agent (Li et al. 2021)." },
    ),
    Type.Object(
      {
        kind: kind("per-fed-avg"),
        innerLearningRate: Type.Number({
          exclusiveMinimum: 0,
          maximum: 1_000,
          default: 0.01,
          description: "Of the step by which an agent will make the model its own.",
        }),
        ...training,
        predict,
      },
      {
        ...strict,
        description:
          "A global model from which few steps lead to a good one of each agent; without second derivatives (Fallah et al. 2020).",
      },
    ),
  ],
  { description: "Each agent has a model of its own, besides the global one." },
);

/** How agents make the global model their own. */
export type PersonalOptions = Type.Static<typeof personalOptions>;

/** @returns in words why a model can not be made one's own like this */
export function personalFault(options: PersonalOptions, model: ModelSpec): string | undefined {
  const { parameters, parameterCount } = layOut(model);
  if (options.kind === "fed-bn")
    return hasNormalization(parameters)
      ? undefined
      : "personalization: fed-bn needs a batch-norm layer in the model; add one, or take ditto";
  return parameterCount > PARAMETERS_MAX
    ? `personalization: the model has ${parameterCount} parameters, own ones are kept up to ${PARAMETERS_MAX}`
    : undefined;
}
