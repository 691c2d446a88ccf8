import * as Type from "typebox";

const COUNT_MAX = 1_024;

const byzantine = (least: number, description: string) =>
  Type.Integer({ minimum: least, maximum: COUNT_MAX, description });
const rate = (value: number, description: string) =>
  Type.Number({ default: value, exclusiveMinimum: 0, maximum: 1e6, description });
const factor = (value: number, description: string) =>
  Type.Number({ default: value, minimum: 0, exclusiveMaximum: 1, description });
const closed = <const D extends string>(description: D) =>
  ({ additionalProperties: false, description }) as const;

const liars = "How many liars it withstands, the f of the papers.";

/** What each rule can be told, by its `kind`. */
export const ruleOptions = {
  mean: Type.Object(
    { kind: Type.Literal("mean") },
    closed("The weighted mean (McMahan et al. 2017)."),
  ),
  qfedavg: Type.Object(
    {
      kind: Type.Literal("qfedavg"),
      q: Type.Number({ minimum: 0, maximum: 100, description: "0 is the mean; more is fairer." }),
      learningRate: Type.Number({
        exclusiveMinimum: 0,
        maximum: 1e6,
        description: "Of the clients.",
      }),
    },
    closed("Clients with a high loss count more (Li et al. 2020)."),
  ),
  krum: Type.Object(
    { kind: Type.Literal("krum"), byzantine: byzantine(0, liars) },
    closed("The update nearest to its neighbours (Blanchard et al. 2017)."),
  ),
  "multi-krum": Type.Object(
    {
      kind: Type.Literal("multi-krum"),
      byzantine: byzantine(0, liars),
      select: Type.Optional(
        Type.Integer({
          minimum: 1,
          maximum: COUNT_MAX,
          description: "Updates that are averaged; all but `byzantine` when absent.",
        }),
      ),
    },
    closed("The mean of the best by Krum's score (Blanchard et al. 2017)."),
  ),
  bulyan: Type.Object(
    { kind: Type.Literal("bulyan"), byzantine: byzantine(0, liars) },
    closed("Krum again and again, then a mean around the median (El Mhamdi et al. 2018)."),
  ),
  median: Type.Object(
    { kind: Type.Literal("median") },
    closed("The median of each coordinate (Yin et al. 2018)."),
  ),
  "trimmed-mean": Type.Object(
    {
      kind: Type.Literal("trimmed-mean"),
      trim: Type.Integer({
        minimum: 1,
        maximum: COUNT_MAX,
        description: "Values left out at each end of each coordinate.",
      }),
    },
    closed("The mean of each coordinate without its extremes (Yin et al. 2018)."),
  ),
  "geometric-median": Type.Object(
    {
      kind: Type.Literal("geometric-median"),
      iterations: Type.Integer({
        default: 32,
        minimum: 1,
        maximum: 1_000,
        description: "The most steps of Weiszfeld's iteration.",
      }),
      smoothing: rate(1e-6, "Distances below it count as it."),
    },
    closed("The point with the least sum of distances (Pillutla et al. 2022)."),
  ),
  "centred-clipping": Type.Object(
    {
      kind: Type.Literal("centred-clipping"),
      radius: Type.Number({
        exclusiveMinimum: 0,
        maximum: 1e9,
        description: "How far from the last aggregate an update may be, the paper's τ.",
      }),
      iterations: Type.Integer({
        default: 1,
        minimum: 1,
        maximum: 1_000,
        description: "Steps of one round.",
      }),
    },
    closed("Updates are clipped around the last aggregate (Karimireddy et al. 2021)."),
  ),
  custom: Type.Object(
    {
      kind: Type.Literal("custom"),
      name: Type.String({ pattern: "^[a-z][a-z0-9-]{0,63}$", description: "As programs name it." }),
      version: Type.String({
        minLength: 1,
        maxLength: 32,
        description: "Another one is another rule.",
      }),
      options: Type.Optional(
        Type.Record(Type.String({ maxLength: 64 }), Type.Unknown(), {
          maxProperties: 32,
          description: "What else its result follows from.",
        }),
      ),
    },
    closed("A rule that programs bring along; agents without it neither combine nor judge."),
  ),
} as const;

/** What works on updates before the rule, by its `kind`. */
export const preparationOptions = {
  "nearest-neighbour-mixing": Type.Object(
    { kind: Type.Literal("nearest-neighbour-mixing"), byzantine: byzantine(1, liars) },
    closed("Each update becomes the mean of its nearest (Allouah et al. 2023)."),
  ),
  bucketing: Type.Object(
    {
      kind: Type.Literal("bucketing"),
      size: Type.Integer({ minimum: 2, maximum: COUNT_MAX, description: "Updates of one bucket." }),
    },
    closed("Updates are shuffled and averaged a few at a time (Karimireddy et al. 2022)."),
  ),
} as const;

const adaptive = <const K extends string>(kind: K, beta1: number) =>
  Type.Object(
    {
      kind: Type.Literal(kind),
      learningRate: rate(0.1, "How far the model goes, η."),
      beta1: factor(beta1, "Decay of the first moment."),
      beta2: factor(0.99, "Decay of the second moment, of which FedAdagrad has none."),
      tau: rate(1e-3, "Where coordinates stop to go faster, τ."),
    },
    closed("An adaptive server (Reddi et al. 2021)."),
  );

/** How the server moves the model, by its `kind`. */
export const serverOptions = {
  fedavg: Type.Object(
    { kind: Type.Literal("fedavg"), learningRate: rate(1, "How far the model goes, η.") },
    closed("The model moves by the aggregate (McMahan et al. 2017)."),
  ),
  fedavgm: Type.Object(
    {
      kind: Type.Literal("fedavgm"),
      learningRate: rate(1, "How far the model goes, η."),
      momentum: factor(0.9, "Decay of the velocity, β."),
    },
    closed("With momentum (Hsu et al. 2019)."),
  ),
  fedadagrad: adaptive("fedadagrad", 0),
  fedadam: adaptive("fedadam", 0.9),
  fedyogi: adaptive("fedyogi", 0.9),
} as const;
