import * as Type from "typebox";
import { kind, size, strict } from "../options/schema-words.ts";

/** The most channels of a binding, a label's among them. */
export const CHANNELS_MAX = 64;
/** The most values that a history keeps in memory: 32 MiB. */
const HISTORY_VALUES_MAX = 8 * 1024 * 1024;
/** The most values of all windows that are cut for training: 64 MiB. */
const SAMPLE_VALUES_MAX = 16 * 1024 * 1024;
const DAY_MS = 86_400_000;

const topic = (description: string) => Type.String({ minLength: 1, maxLength: 512, description });
const field = Type.Optional(
  Type.String({
    minLength: 1,
    maxLength: 256,
    description:
      "Where the number is in JSON: a JSON Pointer (`/air/temperature`) or names with dots (`air.temperature`). Absent: the payload is the number.",
  }),
);
const channelName = Type.String({
  pattern: "^[a-z][a-z0-9_-]{0,62}$",
  description: "a name of small letters, digits, - and _",
});

const channelOptions = Type.Object(
  {
    name: channelName,
    topic: topic(
      "MQTT topic or filter (`+`, `#`). What several topics say falls into the one channel.",
    ),
    field,
    combine: Type.Enum(["mean", "last", "max"], {
      default: "mean",
      description: "What several readings within one step of the grid become.",
    }),
    range: Type.Optional(
      Type.Object(
        { min: Type.Number(), max: Type.Number() },
        { ...strict, description: "What the sensor can show; anything else is no reading." },
      ),
    ),
  },
  strict,
);

const ruleOptions = Type.Object(
  {
    channel: channelName,
    above: Type.Optional(Type.Number({ description: "The value is above this…" })),
    below: Type.Optional(Type.Number({ description: "…and below this." })),
    class: Type.Integer({ minimum: 0, maximum: 999 }),
  },
  strict,
);

const labelOptions = Type.Union([
  Type.Object(
    {
      kind: kind("rules"),
      rules: Type.Array(ruleOptions, {
        minItems: 1,
        maxItems: 64,
        description: "The first that fits the newest moment of a window is its class; none: 0.",
      }),
    },
    strict,
  ),
  Type.Object(
    {
      kind: kind("topic"),
      topic: topic("Its value is the class, until the next one comes."),
      field,
    },
    strict,
  ),
  Type.Object({ kind: kind("hand") }, strict),
]);

const goalOptions = Type.Union([
  Type.Object({ kind: kind("reconstruct") }, strict),
  Type.Object({ kind: kind("forecast"), horizon: size(1_024) }, strict),
  Type.Object(
    {
      kind: kind("classify"),
      classes: Type.Integer({ minimum: 2, maximum: 1_000 }),
      labels: labelOptions,
    },
    strict,
  ),
]);

/** Settings of a task that learns from sensor streams; part of its manifest. */
export const streamBindingOptions = Type.Object(
  {
    kind: kind("streams"),
    channels: Type.Array(channelOptions, { minItems: 1, maxItems: CHANNELS_MAX - 1 }),
    everyMs: Type.Integer({
      minimum: 10,
      maximum: DAY_MS,
      description: "Step of the grid that readings are put on.",
    }),
    windowLength: Type.Integer({
      minimum: 1,
      maximum: 8_192,
      description: "Steps in a window: what the model sees at once.",
    }),
    windowStep: Type.Integer({
      default: 1,
      minimum: 1,
      maximum: 8_192,
      description: "Steps from one window to the next.",
    }),
    gapMsMax: Type.Integer({
      minimum: 10,
      maximum: 30 * DAY_MS,
      description: "No window reaches across a longer silence.",
    }),
    fillMax: Type.Integer({
      default: 0,
      minimum: 0,
      maximum: 8_192,
      description: "So many missing values of a channel are filled with its last one.",
    }),
    historyMs: Type.Integer({
      default: 30 * DAY_MS,
      minimum: 1_000,
      maximum: 3_650 * DAY_MS,
      description: "How far back the history goes.",
    }),
    samplesMax: Type.Integer({
      default: 10_000,
      minimum: 2,
      maximum: 1_000_000,
      description: "Of a longer history windows are cut further apart.",
    }),
    holdOutShare: Type.Number({
      default: 0.2,
      minimum: 0.01,
      maximum: 0.9,
      description: "The last of the history, kept back to judge models by.",
    }),
    normalize: Type.Enum(["federated", "window", "none"], {
      default: "federated",
      description:
        "`federated`: by mean and deviation that the agents agree on; `window`: each window by its own; `none`: as it is.",
    }),
    goal: goalOptions,
  },
  strict,
);

/** What a task learns from: which streams, on which grid, in which windows, and to what end. */
export type StreamBinding = Type.Static<typeof streamBindingOptions>;

/** What the windows of several steps come to for a channel. */
export type Combine = StreamBinding["channels"][number]["combine"];

/** Makes a predicate of a topic filter. @throws Error for one that is not well-formed */
export type TopicMatcher = (filter: string) => (topic: string) => boolean;

/** What is recorded side by side: the channels, and behind them the label that a topic tells. */
export interface RecordedColumn {
  readonly name: string;
  readonly topic: string;
  readonly field?: string | undefined;
  readonly combine: Combine;
  readonly range?: { readonly min: number; readonly max: number } | undefined;
}

/** @returns what is recorded; the first `binding.channels.length` of them are a model's features */
export function columnsOf({ channels, goal }: StreamBinding): readonly RecordedColumn[] {
  if (goal.kind !== "classify" || goal.labels.kind !== "topic") return channels;
  const { topic: source, field: at } = goal.labels;
  const range = { min: 0, max: goal.classes - 1 };
  return [...channels, { name: "$label", topic: source, field: at, combine: "last", range }];
}

/** @returns steps of a history at the most */
export function historyPointsMax({ historyMs, everyMs }: StreamBinding): number {
  return Math.ceil(historyMs / everyMs);
}

/**
 * @returns bytes of memory that a binding takes at the most: its history, a copy of it while windows are cut, the windows, and once more as
 * samples of them
 */
export function streamBytesMax(binding: StreamBinding): number {
  const points = historyPointsMax(binding);
  const windows = Math.min(binding.samplesMax, Math.ceil(points / binding.windowStep));
  const history = points * (8 + 4 * columnsOf(binding).length);
  return 2 * history + 2 * 4 * windows * spanOf(binding) * binding.channels.length;
}

/** @returns steps that a sample spans: the window, and with a forecast what comes after it */
export function spanOf({ windowLength, goal }: StreamBinding): number {
  return windowLength + (goal.kind === "forecast" ? goal.horizon : 0);
}

/** @returns what a model of this binding takes and gives: it has to be built so */
export function sampleShapeOf(binding: StreamBinding): {
  readonly inputShape: readonly [steps: number, channels: number];
  readonly outputs: number;
  readonly loss: "mean-squared-error" | "softmax-cross-entropy";
} {
  const { windowLength, channels, goal } = binding;
  const inputShape = [windowLength, channels.length] as const;
  if (goal.kind === "classify")
    return { inputShape, outputs: goal.classes, loss: "softmax-cross-entropy" };
  const steps = goal.kind === "forecast" ? goal.horizon : windowLength;
  return { inputShape, outputs: steps * channels.length, loss: "mean-squared-error" };
}

/**
 * What a schema can not say of a binding.
 * @param at where it stands, for the names of its settings
 * @returns each fault with its setting and what would do
 */
export function bindingFaults(
  binding: StreamBinding,
  topicMatcher: TopicMatcher,
  at = "data",
): readonly string[] {
  const { channels, everyMs, gapMsMax, historyMs, samplesMax } = binding;
  const faults: string[] = [];
  const names = new Set<string>();
  for (const [place, { name, topic: filter, range }] of channels.entries()) {
    const where = `${at}.channels[${place}]`;
    if (names.has(name)) faults.push(`${where}.name: ${name} is there twice`);
    names.add(name);
    faults.push(...filterFaults(`${where}.topic`, filter, topicMatcher));
    if (range !== undefined && !(range.min < range.max))
      faults.push(`${where}.range: min (${range.min}) has to be below max (${range.max})`);
  }
  if (gapMsMax < everyMs)
    faults.push(`${at}.gapMsMax (${gapMsMax}) is below everyMs (${everyMs}): all would be gaps`);
  const points = historyPointsMax(binding);
  const span = spanOf(binding);
  if (points < span)
    faults.push(
      `${at}.historyMs (${historyMs}) holds ${points} steps of everyMs, a sample has ${span}: take ${span * everyMs} or more`,
    );
  const columns = columnsOf(binding).length;
  if (points * columns > HISTORY_VALUES_MAX)
    faults.push(
      `${at}.historyMs: ${points} steps of ${columns} channels are more than ${HISTORY_VALUES_MAX} values: shorten historyMs or take a larger everyMs`,
    );
  const values = span * channels.length;
  if (values * samplesMax > SAMPLE_VALUES_MAX)
    faults.push(
      `${at}.samplesMax: ${samplesMax} windows of ${values} values are more than ${SAMPLE_VALUES_MAX}: take ${Math.floor(SAMPLE_VALUES_MAX / values)} or less`,
    );
  faults.push(...labelFaults(binding, names, topicMatcher, at));
  return faults;
}

function labelFaults(
  { goal }: StreamBinding,
  channels: ReadonlySet<string>,
  topicMatcher: TopicMatcher,
  at: string,
): readonly string[] {
  if (goal.kind !== "classify") return [];
  const where = `${at}.goal.labels`;
  const { labels, classes } = goal;
  if (labels.kind === "topic") return filterFaults(`${where}.topic`, labels.topic, topicMatcher);
  if (labels.kind === "hand") return [];
  return labels.rules.flatMap(({ channel, above, below, class: label }, place) => {
    const rule = `${where}.rules[${place}]`;
    const faults: string[] = [];
    if (!channels.has(channel))
      faults.push(
        `${rule}.channel: there is no channel ${channel}, only ${[...channels].join(", ")}`,
      );
    if (above === undefined && below === undefined)
      faults.push(`${rule}: above or below is missing`);
    if (label >= classes)
      faults.push(`${rule}.class: ${label}, but classes go from 0 to ${classes - 1}`);
    return faults;
  });
}

function filterFaults(
  where: string,
  filter: string,
  topicMatcher: TopicMatcher,
): readonly string[] {
  try {
    topicMatcher(filter);
    return [];
  } catch (error) {
    return [`${where}: ${(error as Error).message}`];
  }
}
