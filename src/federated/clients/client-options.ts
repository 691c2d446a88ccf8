import * as Type from "typebox";
import { kind, rate, size, strict } from "../options/schema-words.ts";

const momentum = Type.Number({ minimum: 0, exclusiveMaximum: 1, default: 0 });
/** What a client does in a round, by its `kind`. */
export const clientOptions = Type.Union([
  Type.Object(
    {
      kind: kind("local"),
      epochs: size(10_000, 1),
      batchSize: size(1_000_000, 10),
      learningRate: rate,
      momentum,
      weightDecay: Type.Number({ minimum: 0, maximum: 1_000, default: 0 }),
      clippingNorm: Type.Optional(Type.Number({ exclusiveMinimum: 0 })),
      proximalMu: Type.Number({ minimum: 0, maximum: 1_000, default: 0 }),
      scaffold: Type.Boolean({ default: false }),
    },
    strict,
  ),
  Type.Object(
    {
      kind: kind("gradient"),
      batchSize: size(1_000_000, 32),
      momentum,
    },
    strict,
  ),
  Type.Object(
    {
      kind: kind("meta"),
      steps: size(100_000),
      innerSteps: size(16, 1),
      batchSize: size(1_000_000, 10),
      innerLearningRate: rate,
      learningRate: rate,
      order: Type.Enum(["first", "hessian-free"], { default: "hessian-free" }),
    },
    strict,
  ),
]);
