import * as Type from "typebox";
import { Clone, Default } from "typebox/value";
import { describeFaults } from "../../device/schema-faults.ts";
import type { ModelSpec } from "../../platform/training-backend.ts";
import { layOut } from "../../platform/training-layout.ts";
import { topicMatcher } from "../../readings/topic-filter.ts";
import { clientOptions } from "../clients/client-options.ts";
import { compressionOptions } from "../compression/compression-options.ts";
import { taskTeachingOptions, teachingFault } from "../distillation/teaching-options.ts";
import { layerOptions } from "../options/model-options.ts";
import { kind, size, strict } from "../options/schema-words.ts";
import { personalFault, personalOptions } from "../personalization/personal-options.ts";
import { servingFaults, servingOptions } from "../serving/serving-options.ts";
import { AggregationError } from "../strategies/aggregation.ts";
import { StrategyRegistry } from "../strategies/registry.ts";
import { bindingFaults, sampleShapeOf, streamBindingOptions } from "../streams/binding.ts";
import { LearningError } from "./learning-error.ts";

/** The most contributions of a round. */
const UPDATES_MAX = 1_024;
/** An update has two values for each, and what the strategy remembers up to four. */
const CORRECTED_PARAMETERS_MAX = 12_000_000;
/** What comes of them grows as what goes in. */
const MEASURELESS_RULES: ReadonlySet<string> = new Set([
  "mean",
  "median",
  "trimmed-mean",
  "geometric-median",
  "krum",
  "multi-krum",
  "bulyan",
]);

const modelOptions = Type.Object(
  {
    inputShape: Type.Array(size(1_000_000), { minItems: 1, maxItems: 4 }),
    layers: Type.Array(layerOptions, { minItems: 1, maxItems: 256 }),
    loss: Type.Enum(["softmax-cross-entropy", "sigmoid-cross-entropy", "mean-squared-error"]),
  },
  { ...strict, description: "The network, and the shape of one sample." },
);

const dataOptions = Type.Union(
  [
    Type.Object(
      {
        kind: kind("dataset"),
        name: Type.String({
          pattern: "^[a-z][a-z0-9-]{0,62}$",
          description: "As `learning.datasets` of each agent names its own samples.",
        }),
      },
      strict,
    ),
    streamBindingOptions,
  ],
  { description: "Where each agent has its samples from." },
);

const paceOptions = Type.Object(
  {
    agentsMin: Type.Integer({
      default: 2,
      minimum: 1,
      maximum: UPDATES_MAX,
      description: "A round waits for updates of so many.",
    }),
    agentsMax: Type.Integer({
      default: UPDATES_MAX,
      minimum: 1,
      maximum: UPDATES_MAX,
      description: "A round takes no more; of a larger fleet a sample trains.",
    }),
    deadlineMs: Type.Integer({
      default: 60_000,
      minimum: 100,
      maximum: 86_400_000,
      description: "Whoever has not delivered by then is not waited for.",
    }),
    takeoverMs: Type.Integer({
      default: 10_000,
      minimum: 100,
      maximum: 3_600_000,
      description: "After the deadline, until the next aggregator takes a round over.",
    }),
    buffered: Type.Optional(
      Type.Object(
        {
          updates: Type.Integer({
            minimum: 1,
            maximum: UPDATES_MAX,
            description: "A round is closed with so many.",
          }),
          stalenessMax: Type.Integer({
            default: 4,
            minimum: 0,
            maximum: 64,
            description: "Rounds that a model may have been behind when its training began.",
          }),
        },
        {
          ...strict,
          description:
            "Rounds do not wait for all: FedBuff (Nguyen et al. 2022). Without it rounds are synchronous.",
        },
      ),
    ),
  },
  { ...strict, default: {}, description: "How long a round takes, and who is in it." },
);

/** What whoever starts a task says of it. */
export const taskSpecSchema = Type.Object(
  {
    name: Type.String({ pattern: "^[a-z][a-z0-9-]{0,62}$", description: "For people." }),
    model: modelOptions,
    data: dataOptions,
    client: clientOptions,
    strategy: Type.Optional(new StrategyRegistry().schema()),
    compression: Type.Optional(compressionOptions),
    personalization: Type.Optional(personalOptions),
    teaching: Type.Optional(taskTeachingOptions),
    rounds: size(1_000_000),
    seed: Type.Integer({
      default: 1,
      minimum: 0,
      maximum: 2 ** 32 - 1,
      description: "What the first weights and every later chance follow from.",
    }),
    pace: paceOptions,
    serving: Type.Optional(servingOptions),
  },
  strict,
);

/** A task as it was asked for, checked and complete. */
export type TaskSpec = Type.Static<typeof taskSpecSchema>;

/**
 * @param document from anywhere
 * @throws LearningError `learning.spec` naming every wrong key, with the nearest known one, or why it can not be learned
 */
export function completeSpec(document: unknown): TaskSpec {
  const filled: unknown = Default(taskSpecSchema, withServing(Clone(document)));
  const faults = describeFaults(taskSpecSchema, filled);
  if (faults.length > 0) throw new LearningError("learning.spec", faults.join("; "));
  // A union fills in its defaults only where it stands by itself.
  const spec = Default(taskSpecSchema, filled) as TaskSpec;
  const fault = contradictionIn(spec);
  if (fault !== undefined) throw new LearningError("learning.spec", fault);
  return spec;
}

/** @returns the network as backends take it */
export function modelOf({ model }: TaskSpec): ModelSpec {
  return model;
}

/** What is learned from streams is served, unless told otherwise by the defaults. */
function withServing(document: unknown): unknown {
  if (typeof document !== "object" || document === null || "serving" in document) return document;
  const { data } = document as { readonly data?: { readonly kind?: unknown } | null };
  return data?.kind === "streams" ? { ...document, serving: {} } : document;
}

function contradictionIn(spec: TaskSpec): string | undefined {
  const { agentsMin, agentsMax, buffered } = spec.pace;
  if (agentsMin > agentsMax)
    return `pace.agentsMin (${agentsMin}) is above pace.agentsMax (${agentsMax})`;
  if (buffered !== undefined && buffered.updates > agentsMax)
    return `pace.buffered.updates (${buffered.updates}) is above pace.agentsMax (${agentsMax})`;
  if (spec.client.kind !== "local")
    return `client.kind: ${spec.client.kind} is for the lab; agents train with local`;
  let parameterCount: number;
  try {
    ({ parameterCount } = layOut(modelOf(spec)));
    new StrategyRegistry().strategy(spec.strategy ?? {});
  } catch (error) {
    const where = error instanceof AggregationError ? "strategy" : "model";
    return `${where}: ${(error as Error).message}`;
  }
  const { personalization } = spec;
  return (
    teachingFaultIn(spec) ??
    (personalization && personalFault(personalization, modelOf(spec))) ??
    (isCorrected(spec) ? correctionFaultIn(spec, parameterCount) : undefined) ??
    streamFaultIn(spec)
  );
}

/** What agreeing on answers instead of weights asks of the rest. */
function teachingFaultIn(spec: TaskSpec): string | undefined {
  const { teaching, data, pace, personalization } = spec;
  if (teaching === undefined) return undefined;
  if (data.kind !== "dataset")
    return "teaching: answers are classes, which samples of streams do not have; take data.kind: dataset";
  if (personalization !== undefined)
    return "personalization: with teaching each agent has a model of its own anyway; leave one of them out";
  if (isCorrected(spec))
    return "client.scaffold: it corrects gradients of one model, and with teaching each agent has another; leave one of them out";
  if (pace.buffered !== undefined)
    return "pace.buffered: answers to an earlier round can not be added to those of a later one; leave it out with teaching";
  try {
    return teachingFault(modelOf(spec), teaching);
  } catch (error) {
    return `teaching.architectures: ${(error as Error).message}`;
  }
}

/** Whether agents correct their gradients by what all see: SCAFFOLD. */
export function isCorrected({ client }: Pick<TaskSpec, "client">): boolean {
  return client.kind === "local" && client.scaffold;
}

/** What SCAFFOLD asks of the rest: that c is the mean gradient, of one head, by the measure of gradients. */
function correctionFaultIn(spec: TaskSpec, parameterCount: number): string | undefined {
  const { client, strategy, compression, pace, personalization } = spec;
  if (client.kind === "local" && client.momentum > 0)
    return "client.momentum: with scaffold a step has to be as long as its gradient; leave momentum out";
  const rule = (strategy as { readonly rule?: { readonly kind?: string } } | undefined)?.rule;
  if (rule?.kind !== undefined && !MEASURELESS_RULES.has(rule.kind))
    return `strategy.rule: ${rule.kind} would measure gradients as if they were updates; with client.scaffold take one of ${[...MEASURELESS_RULES].join(", ")}`;
  if (compression !== undefined)
    return "compression: what client.scaffold corrects by has to arrive as it is; leave one of them out";
  if (pace.buffered !== undefined)
    return "pace.buffered: client.scaffold wants rounds that begin with one model; leave one of them out";
  if (personalization?.kind === "fed-bn" || personalization?.kind === "per-fed-avg")
    return `personalization.kind: ${personalization.kind} trains in a way that client.scaffold does not correct; take fine-tune or ditto`;
  return parameterCount > CORRECTED_PARAMETERS_MAX
    ? `client.scaffold: the model has ${parameterCount} parameters, agents correct up to ${CORRECTED_PARAMETERS_MAX}`
    : undefined;
}

/** What a binding to streams asks of the rest. */
function streamFaultIn({ data, model, pace, serving }: TaskSpec): string | undefined {
  if (data.kind === "dataset")
    return serving === undefined
      ? undefined
      : "serving: only what is learned from streams is served; leave it out with data.kind: dataset";
  const faults = [
    ...bindingFaults(data, topicMatcher),
    ...(serving === undefined ? [] : servingFaults(serving)),
  ];
  if (faults.length > 0) return faults.join("; ");
  const { inputShape, outputs, loss } = sampleShapeOf(data);
  const { outputSize } = layOut(model);
  if (model.inputShape.join() !== inputShape.join())
    return `model.inputShape is [${model.inputShape.join(", ")}], windows of data are [${inputShape.join(", ")}] (windowLength, channels)`;
  if (outputSize !== outputs)
    return `model.layers give ${outputSize} numbers, data.goal ${data.goal.kind} wants ${outputs}: let the last layer have so many`;
  if (model.loss !== loss)
    return `model.loss is ${model.loss}, data.goal ${data.goal.kind} is learned with ${loss}`;
  if (data.normalize === "federated" && pace.buffered !== undefined)
    return "pace.buffered: agents agree on what to normalise by in round 1, which is synchronous; take data.normalize: window, or no buffer";
  return undefined;
}
