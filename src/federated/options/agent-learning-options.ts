import * as Type from "typebox";

/** Settings under `learning`. */
export const learningOptions = Type.Object(
  {
    enabled: Type.Boolean({
      default: false,
      description:
        "Take part in what the fleet learns: train on own samples, aggregate, judge. Needs a mesh with roles and `consensus.enabled`.",
    }),
    datasets: Type.Array(
      Type.Object(
        {
          name: Type.String({
            pattern: "^[a-z][a-z0-9-]{0,62}$",
            description: "As tasks name it.",
          }),
          file: Type.String({
            minLength: 1,
            description:
              "A dataset as `learn data fetch` leaves one, or a CSV file (`.csv`) with a column `label`; its samples never leave this device.",
          }),
          classes: Type.Optional(
            Type.Array(Type.String({ minLength: 1, maxLength: 256 }), {
              minItems: 1,
              maxItems: 10_000,
              uniqueItems: true,
              description:
                "What the labels of a CSV file are called, where they are no numbers from 0: all classes there are, in the same order at every agent.",
            }),
          ),
        },
        { additionalProperties: false },
      ),
      { default: [], maxItems: 16, description: "Samples that this agent can train on." },
    ),
    architecture: Type.Optional(
      Type.String({
        pattern: "^[a-z][a-z0-9-]{0,30}$",
        description:
          "Which network this agent trains of tasks that name several (`teaching.architectures`); the task's `model` where it names none of that name.",
      }),
    ),
    memoryBytesMax: Type.Integer({
      default: 67_108_864,
      minimum: 1_048_576,
      maximum: 4_294_967_296,
      description: "Of models and updates that are held in memory.",
    }),
    storeBytesMax: Type.Integer({
      default: 268_435_456,
      minimum: 1_048_576,
      maximum: 17_179_869_184,
      description: "Of models that are kept on flash.",
    }),
    gatherMs: Type.Integer({
      default: 1_000,
      minimum: 0,
      maximum: 600_000,
      description: "No round is closed sooner after it began.",
    }),
  },
  {
    additionalProperties: false,
    default: {},
    description: "What agents learn together, each on its own samples.",
  },
);

/** @see learningOptions */
export type LearningOptions = Type.Static<typeof learningOptions>;
