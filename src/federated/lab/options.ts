import * as Type from "typebox";
import { clientOptions } from "../clients/client-options.ts";
import { compressionOptions } from "../compression/compression-options.ts";
import { teachingSteps } from "../distillation/teaching-options.ts";
import { modelOptions } from "../options/model-options.ts";
import { kind, rate, size, strict } from "../options/schema-words.ts";
import { StrategyRegistry } from "../strategies/registry.ts";

const share = Type.Number({ exclusiveMinimum: 0, maximum: 1 });

const datasetOptions = Type.Union([
  Type.Object(
    { kind: kind("known"), name: Type.String({ description: "as `learn data list` names it" }) },
    strict,
  ),
  Type.Object(
    {
      kind: kind("csv"),
      file: Type.String({ description: "beside the experiment, unless absolute" }),
      label: Type.String({ description: "the column that is the class" }),
      group: Type.Optional(
        Type.String({ description: "the column that says who: for partition groups" }),
      ),
      testShare: Type.Number({ exclusiveMinimum: 0, exclusiveMaximum: 1, default: 0.2 }),
    },
    strict,
  ),
  Type.Object(
    {
      kind: kind("blobs"),
      features: size(10_000, 10),
      classes: size(100, 4),
      train: size(1_000_000, 2_000),
      test: size(1_000_000, 500),
      spread: Type.Number({ exclusiveMinimum: 0, maximum: 1_000, default: 1 }),
    },
    strict,
  ),
]);

const partitionOptions = Type.Union(
  [
    Type.Object({ kind: kind("iid") }, strict),
    Type.Object({ kind: kind("shards"), shards: size(100, 2) }, strict),
    Type.Object(
      {
        kind: kind("dirichlet"),
        alpha: Type.Number({ exclusiveMinimum: 0, maximum: 1e6 }),
        samplesMin: size(100_000, 1),
      },
      strict,
    ),
    Type.Object({ kind: kind("groups") }, strict),
  ],
  { default: { kind: "iid" } },
);

const testShare = Type.Number({
  exclusiveMinimum: 0,
  maximum: 0.5,
  default: 0.2,
  description: "of each client's samples, kept back to judge its own model by",
});
const personalOptions = Type.Union([
  Type.Object({ kind: kind("global"), testShare }, strict),
  Type.Object(
    {
      kind: kind("fine-tune"),
      epochs: size(1_000, 1),
      batchSize: size(1_000_000, 10),
      learningRate: rate,
      testShare,
    },
    strict,
  ),
  Type.Object(
    {
      kind: kind("ditto"),
      lambda: Type.Number({ minimum: 0, maximum: 1_000, default: 0.1 }),
      epochs: size(1_000, 1),
      batchSize: size(1_000_000, 10),
      learningRate: rate,
      testShare,
    },
    strict,
  ),
  Type.Object({ kind: kind("fed-bn"), testShare }, strict),
]);

const teachingOptions = Type.Object(
  {
    ...teachingSteps("clients take them in turn"),
    teach: Type.Boolean({ default: true, description: "false: each client learns alone" }),
    transfer: Type.Object(
      {
        kind: Type.Enum(["public", "generated"], { default: "public" }),
        count: size(100_000, 1_000),
      },
      { ...strict, default: {} },
    ),
  },
  strict,
);

const attackers = size(10_000);
const attackOptions = Type.Union(
  [
    Type.Object({ kind: kind("none") }, strict),
    Type.Object(
      {
        kind: kind("gaussian"),
        attackers,
        sigma: Type.Number({ exclusiveMinimum: 0, default: 200 }),
      },
      strict,
    ),
    Type.Object(
      {
        kind: kind("omniscient"),
        attackers,
        factor: Type.Number({ exclusiveMinimum: 0, default: 20 }),
      },
      strict,
    ),
    Type.Object(
      {
        kind: kind("inner-product"),
        attackers,
        epsilon: Type.Number({ exclusiveMinimum: 0, default: 1.1 }),
      },
      strict,
    ),
    Type.Object(
      { kind: kind("little-is-enough"), attackers, z: Type.Number({ default: 1 }) },
      strict,
    ),
    Type.Object({ kind: kind("sign-flip"), attackers }, strict),
    Type.Object({ kind: kind("zero"), attackers }, strict),
  ],
  { default: { kind: "none" } },
);

/** One experiment without variants: what a federation runs. */
export const experimentSchema = Type.Object(
  {
    dataset: datasetOptions,
    normalize: Type.Optional(
      Type.Enum(["none", "standard"], {
        description: "standard: each feature by mean and deviation, unless they are pictures",
      }),
    ),
    partition: partitionOptions,
    clients: Type.Optional(size(10_000)),
    fraction: Type.Number({ exclusiveMinimum: 0, maximum: 1, default: 1 }),
    model: Type.Optional(modelOptions),
    teaching: Type.Optional(teachingOptions),
    client: clientOptions,
    weigh: Type.Enum(["samples", "equally"], {
      default: "samples",
      description:
        "whether a client with more samples counts more; with gradient and meta none does",
    }),
    personal: Type.Optional(personalOptions),
    strategy: Type.Optional(new StrategyRegistry().schema()),
    attack: attackOptions,
    compression: Type.Optional(compressionOptions),
    rounds: size(1_000_000),
    stopAtAccuracy: Type.Optional(share),
    evaluateEvery: size(1_000_000, 1),
  },
  strict,
);

/** One experiment, checked and complete. */
export type Experiment = Type.Static<typeof experimentSchema>;

/** What a file has besides the experiment that its variants have in common. */
export const labSchema = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 200 }),
    seeds: Type.Array(Type.Integer({ minimum: 0 }), { minItems: 1, maxItems: 100, default: [1] }),
    vary: Type.Array(
      Type.Object(
        {
          name: Type.String({ minLength: 1, maxLength: 60 }),
          values: Type.Record(Type.String(), Type.Record(Type.String(), Type.Unknown())),
        },
        strict,
      ),
      { maxItems: 4, default: [] },
    ),
  },
  strict,
);

/** What a file has besides the experiment. */
export type LabSettings = Type.Static<typeof labSchema>;
