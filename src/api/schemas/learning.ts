import * as Type from "typebox";
import { type TaskSpec, taskSpecSchema } from "../../federated/tasks/task-spec.ts";
import { count, epochMs, list, named } from "./common.ts";
import { namedPeer } from "./consensus.ts";

/** The largest number of the format that models compute in; what is larger would become infinite. */
const FLOAT32_MAX = 3.4028234663852886e38;
/** Rows of one request; what they weigh is bounded by `api.bodyBytesMax`. */
const ROWS_MAX = 65_536;

const STATES = ["running", "paused", "stopped", "finished"] as const;
const hash = (description: string) => Type.String({ pattern: "^[0-9a-f]{64}$", description });

/** Id of a learning task. */
export const learningTaskId = Type.String({
  pattern: "^[0-9a-f]{32}$",
  description: "Id of the learning task.",
});

/** Whether a task goes on. */
export const learningState = Type.Enum([...STATES], {
  description:
    "`running`, `paused`, `stopped`: as its author wants it, the last for good; `finished`: all its rounds are decided.",
});

/** What is to be learned, for the document: what has a default may be left out. */
export const learningTaskSpec = Type.Unsafe<TaskSpec>({
  ...(asAsked(JSON.parse(JSON.stringify(taskSpecSchema))) as object),
  description: "What is to be learned, and how. Answers hold it with all its defaults.",
  $id: "LearningTaskSpec",
});

/**
 * POST /v1/learning/tasks: any object, since the task itself tells what is wrong with it, down to the nearest known key;
 * the document has `learningTaskSpec` in its place.
 */
export const learningTaskRequest = Type.Object({});

/** A round that a committee has decided. */
export const learningRound = Type.Object(
  {
    round: Type.Integer({ minimum: 1, description: "From 1." }),
    heardAtMs: epochMs("When this agent heard of it."),
    tookMs: Type.Optional(
      Type.Number({
        minimum: 0,
        description:
          "Since this agent had heard of the round before; absent for the first one that it heard of.",
      }),
    ),
    aggregator: named(namedPeer),
    updates: count("Agents whose updates are in it."),
    samples: count("Samples that these were trained on."),
    samplesTotal: count("Of all rounds so far."),
    modelHash: hash("SHA-256 of the model that came of it."),
    evaluation: Type.Optional(
      Type.Object(
        {
          loss: Type.Optional(
            Type.Number({ description: "Absent where the model diverged and it is not finite." }),
          ),
          accuracy: Type.Optional(
            Type.Number({ minimum: 0, maximum: 1, description: "Absent without classes." }),
          ),
        },
        {
          description:
            "Of the model on this agent's own held-out samples, where it judged it; with `teaching` of its own model.",
        },
      ),
    ),
    ownEvaluation: Type.Optional(
      Type.Object(
        {
          loss: Type.Optional(Type.Number({ description: "Absent where it is not finite." })),
          accuracy: Type.Optional(
            Type.Number({ minimum: 0, maximum: 1, description: "Absent without classes." }),
          ),
        },
        {
          description:
            "Of this agent's own model after the round, on the same samples; only with `personalization`.",
        },
      ),
    ),
  },
  { $id: "LearningRound" },
);

/** GET /v1/learning/tasks/{task}/rounds. */
export const learningRounds = list("LearningRounds", learningRound, {});

/** A round, and of which task. */
export const newestLearningRound = Type.Object(
  {
    task: learningTaskId,
    name: Type.String({ description: "Of the task, for people." }),
    ...learningRound.properties,
  },
  { $id: "NewestLearningRound" },
);

/** GET /v1/learning/rounds. */
export const newestLearningRounds = list("NewestLearningRounds", newestLearningRound, {});

/** GET /v1/learning/tasks/{task}. */
export const learningTask = Type.Object(
  {
    task: learningTaskId,
    spec: named(learningTaskSpec),
    author: named(namedPeer),
    createdAtMs: epochMs("When its author started it."),
    state: learningState,
    round: count("The newest that is decided; 0 before the first."),
    activity: Type.Enum(
      ["fetching", "training", "held", "telling", "resting", "no-data", "failed", "following"],
      {
        description:
          "What this agent does for it. `fetching`: a model; `training`; `telling`: others of its update; `resting`: its update is delivered, or its turn is another time; `held`: the power policy lets it train no further for now; `no-data`: it has no samples; `failed`: it can not train it; `following`: it learns nothing itself.",
      },
    ),
    because: Type.Optional(Type.String({ description: "In words, where the activity wants any." })),
    progress: Type.Optional(
      Type.Object(
        {
          round: count("That it trains for."),
          step: count("Steps that are done."),
          steps: count("Of so many."),
        },
        { description: "Of the training at hand." },
      ),
    ),
    samples: count("Samples that this agent trains on."),
    network: Type.Optional(
      Type.String({
        description:
          "With `teaching`: which network this agent trains; `model` where `learning.architecture` names none of the task's `architectures`.",
      }),
    ),
    latest: Type.Optional(named(learningRound)),
  },
  { $id: "LearningTask" },
);

/** GET /v1/learning/tasks. */
export const learningTasks = list("LearningTasks", learningTask, {});

/** GET /v1/learning. */
export const learning = Type.Object(
  {
    enabled: Type.Boolean(),
    tasks: Type.Object(
      {
        running: count("That go on."),
        paused: count("That rest."),
        stopped: count("That were ended before their last round."),
        finished: count("Whose rounds are all decided."),
      },
      { description: "Tasks that are known here." },
    ),
    datasets: Type.Array(Type.String(), {
      description: "That this agent can train on, as `learning.datasets` names them.",
    }),
    counters: Type.Object(
      {
        rounds: count("Decided rounds that it heard of."),
        updatesSent: count("Updates of its own that it delivered."),
        aggregations: count("Rounds that it closed as their aggregator."),
        accepted: count("Records of rounds that its committee accepted."),
        rejected: count("Records that it did not accept."),
        trainingFailures: count("Times that training failed."),
        sentBytes: count("Of models and updates."),
        receivedBytes: count("Of models and updates."),
        evidence: Type.Record(Type.String(), Type.Integer({ minimum: 0 }), {
          description: "Agents that lied or did not do their part, by what they did.",
        }),
      },
      { description: "Since the agent's start." },
    ),
  },
  { $id: "Learning" },
);

const number = Type.Number({ minimum: -FLOAT32_MAX, maximum: FLOAT32_MAX });

/** POST /v1/learning/tasks/{task}/predict. */
export const predictRequest = Type.Object(
  {
    features: Type.Array(Type.Array(number, { minItems: 1 }), {
      minItems: 1,
      maxItems: ROWS_MAX,
      description: "Samples, each with as many values as the model's input has.",
    }),
    model: Type.Optional(
      Type.Enum(["own", "global"], {
        description:
          "Which model answers, where the task has `personalization`; as the task says unless given. With `teaching` there is the own one alone.",
      }),
    ),
  },
  { additionalProperties: false },
);

/** Answer of POST /v1/learning/tasks/{task}/predict. */
export const prediction = Type.Object(
  {
    round: count("That the model came of; 0 for the weights that the task began with."),
    model: Type.Enum(["own", "global"], {
      description: "Which one answered: this agent's own, or the fleet's.",
    }),
    outputs: Type.Array(Type.Array(Type.Number()), {
      description:
        "Of each sample, in their order. Logits with `softmax-cross-entropy` and `sigmoid-cross-entropy`.",
    }),
    classes: Type.Optional(
      Type.Array(Type.Integer({ minimum: 0 }), {
        description:
          "Of each sample the number of its largest output; only with `softmax-cross-entropy`.",
      }),
    ),
  },
  { $id: "Prediction" },
);

/** A schema that has its defaults filled in tells that they are required; whoever asks need not give them. */
function asAsked(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(asAsked);
  if (typeof node !== "object" || node === null) return node;
  const { required, anyOf, ...rest } = node as SchemaNode;
  const copy = Object.fromEntries(Object.entries(rest).map(([key, of]) => [key, asAsked(of)]));
  const needed = required?.filter(
    (name) => !Object.hasOwn(rest.properties?.[name] ?? {}, "default"),
  );
  const [only, ...others] = (anyOf ?? []).map((each) => asAsked(each) as object);
  return {
    // A union that knows one kind yet says nothing that its only one does not.
    ...(others.length === 0 ? only : { anyOf: [only, ...others] }),
    ...copy,
    ...(needed !== undefined && needed.length > 0 && { required: needed }),
  };
}

interface SchemaNode {
  readonly required?: readonly string[];
  readonly anyOf?: readonly unknown[];
  readonly properties?: Readonly<Record<string, object>>;
}
