import * as Type from "typebox";
import { count, epochMs, list } from "./common.ts";
import { learningTaskId } from "./learning.ts";

const round = (description: string) => Type.Integer({ minimum: 0, description });
const name = Type.String({ description: "Of the task, for people." });
const window = Type.Object(
  { fromMs: epochMs("Its oldest moment."), toMs: epochMs("Its newest moment.") },
  { description: "The window that was judged." },
);
const judged = {
  task: learningTaskId,
  atMs: epochMs("Newest moment of the window."),
  score: Type.Number({
    minimum: 0,
    description:
      "Mean square error of the model's answer, in deviations where values are normalised; with classes the likelihood of all but class 0.",
  }),
  threshold: Type.Number({
    minimum: 0,
    description: "Windows with a score above it are anomalous.",
  }),
  round: round("Of the model that judged."),
  window,
};

const score = Type.Object(
  {
    ...judged,
    isAnomalous: Type.Boolean(),
    forecast: Type.Optional(
      Type.Array(Type.Number(), {
        description: "Of a forecaster: what is to come, step by step and channel by channel.",
      }),
    ),
    class: Type.Optional(
      Type.Integer({ minimum: 0, description: "Of a classifier: the likeliest." }),
    ),
  },
  { description: "Of the newest window that was judged since the agent's start." },
);

const recorder = Type.Object(
  {
    heard: count("Readings of the task's streams."),
    recorded: count("Those of them that were put into the history."),
    unparsable: count("Values that are no number, or not where `field` says."),
    implausible: count("Values outside of `range`."),
    late: count("Readings of a step that is over."),
    duplicates: count("Readings that were there twice."),
    refused: count("Readings of streams beyond the first 1,024."),
    clockJumps: count("Times that the wall clock disagreed with what was known of it."),
    streams: count("Streams that were heard since the start."),
    points: count("Steps of the history."),
    memoryBytes: count("Of the history."),
    store: Type.Optional(
      Type.Object(
        {
          blocksWritten: count("Blocks of 256 steps."),
          bytesWritten: count("Keys and values of these."),
          pointsLoaded: count("Steps that were read back at the start."),
          blocksDamaged: count("Blocks that could not be read back."),
          writesFailed: count("Times that the store took nothing."),
          pointsLost: count("Steps that were given up for that."),
        },
        { description: "The history on disk." },
      ),
    ),
  },
  { description: "What became of readings since the agent's start." },
);

/** GET /v1/learning/tasks/{task}/serving. */
export const learningServing = Type.Object(
  {
    task: learningTaskId,
    name,
    round: Type.Optional(round("Of the model that judges; absent while there is none.")),
    threshold: Type.Optional(
      Type.Number({ minimum: 0, description: "Windows with a score above it are anomalous." }),
    ),
    because: Type.Optional(Type.String({ description: "Why nothing is judged, in words." })),
    newest: Type.Optional(score),
    alert: Type.Object({
      raised: Type.Boolean({ description: "Whether there is an alert now." }),
      sinceMs: Type.Optional(epochMs("When it began.")),
    }),
    detector: Type.Object(
      {
        judged: count("Windows that were judged."),
        anomalous: count("Those of them above the threshold."),
        skipped: count("Windows that came while another was being judged, or without a model."),
        failed: count("Windows that could not be judged."),
        alerts: count("Alerts that were raised."),
        suppressed: count("Alerts that were not told, since there were too many in an hour."),
      },
      { description: "Since the model began to be served." },
    ),
    recorder,
    scale: Type.Optional(
      Type.Array(
        Type.Object({
          channel: Type.String(),
          mean: Type.Number(),
          deviation: Type.Number({ exclusiveMinimum: 0 }),
        }),
        { description: "What the agents agreed to normalise by (`data.normalize: federated`)." },
      ),
    ),
  },
  { $id: "LearningServing" },
);

/** GET /v1/learning/tasks/{task}/versions. */
export const learningVersions = Type.Object(
  {
    items: Type.Array(
      Type.Object({
        round: round("That the model came of."),
        hash: Type.String({ description: "SHA-256 of the model." }),
        sinceMs: epochMs("When it became what it is."),
        state: Type.Enum(["serving", "canary", "waiting", "retired", "rejected"], {
          description:
            "`serving`: judges; `canary`: judges in its shadow, on trial; `waiting`: the next on trial; `retired`: served, or was passed over; `rejected`: was worse, or was rolled back from.",
        }),
        holdOutError: Type.Number({
          description: "Mean error on what this agent holds out, when the model came.",
        }),
        threshold: Type.Optional(Type.Number({ description: "That it judges by." })),
      }),
      { description: "Newest round first, 8 at most." },
    ),
    pinnedRound: Type.Optional(round("Set by hand: nothing replaces that model.")),
    trial: Type.Optional(
      Type.Object(
        {
          round: round("On trial."),
          windows: count("That both judged."),
          canaryError: Type.Number({ description: "Sum over these." }),
          servingError: Type.Number({ description: "Sum over these, of the model that serves." }),
        },
        { description: "Of the canary." },
      ),
    ),
  },
  { $id: "LearningVersions" },
);

const span = {
  fromMs: Type.Number({
    minimum: 0,
    description: "First moment. Milliseconds since 1970-01-01T00:00:00Z.",
  }),
  toMs: Type.Number({
    minimum: 0,
    description: "Last moment, belongs to it. Milliseconds since 1970-01-01T00:00:00Z.",
  }),
  class: Type.Integer({
    minimum: 0,
    maximum: 999,
    description:
      "The class of a classifier; with other goals 0 is well, and what is above 0 is not learned from.",
  }),
  note: Type.Optional(Type.String({ maxLength: 256 })),
};

/** What somebody said of a time. */
export const learningLabel = Type.Object(
  {
    id: Type.Integer({ minimum: 1 }),
    ...span,
    who: Type.String({ description: "Name of the token that said so." }),
  },
  { $id: "LearningLabel" },
);

/** GET /v1/learning/tasks/{task}/labels. */
export const learningLabels = list("LearningLabels", learningLabel, {});

/** POST /v1/learning/tasks/{task}/labels. */
export const learningLabelRequest = Type.Object(span, { additionalProperties: false });

/** An alert began or ended. */
export const learningAlert = Type.Object(
  {
    ...judged,
    name,
    state: Type.Enum(["raised", "cleared"]),
    sinceMs: epochMs("When the alert began."),
    suppressed: count("Alerts before it that were not told, since there were too many in an hour."),
  },
  { $id: "LearningAlert" },
);

/** GET /v1/learning/alerts. */
export const learningAlerts = list("LearningAlerts", learningAlert, {});
