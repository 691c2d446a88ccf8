import * as Type from "typebox";

/** What a fleet learns in a simulated world. */
export const learningScenario = Type.Object(
  {
    trains: Type.Enum(["nothing", "model", "stand-in"], {
      default: "nothing",
      description:
        "`model`: every agent trains a small real model on samples of its own; `stand-in`: updates follow from the seed, and nobody trains, for large fleets. Needs `consensus`.",
    }),
    gatherSeconds: Type.Number({
      default: 2,
      minimum: 0,
      maximum: 600,
      description: "`learning.gatherMs` of every agent: no round is closed sooner.",
    }),
    deadlineSeconds: Type.Number({
      default: 20,
      minimum: 0.1,
      maximum: 3_600,
      description: "`pace.deadlineMs` of the task.",
    }),
    agentsMax: Type.Integer({
      default: 1_024,
      minimum: 1,
      maximum: 1_024,
      description: "`pace.agentsMax` of the task.",
    }),
    buffered: Type.Integer({
      default: 0,
      minimum: 0,
      maximum: 1_024,
      description:
        "`pace.buffered.updates` of the task, with bases up to 3 rounds old; 0: rounds are synchronous.",
    }),
    faultyAgents: Type.Integer({
      default: 0,
      minimum: 0,
      maximum: 1_000,
      description:
        "Agents, the last ones, whose arithmetic is wrong when they put updates together.",
    }),
    accuracyLeast: Type.Number({
      default: 0.9,
      minimum: 0,
      maximum: 1,
      description:
        "In the end the model has at least this share of the accuracy that as many undisturbed rounds come to; with `model` only.",
    }),
  },
  {
    additionalProperties: false,
    default: {},
    description: "What the agents learn together.",
  },
);

/** @see learningScenario */
export type LearningScenario = Type.Static<typeof learningScenario>;
