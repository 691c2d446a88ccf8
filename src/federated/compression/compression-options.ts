import * as Type from "typebox";
import { size, strict } from "../options/schema-words.ts";

/** How updates are made smaller on their way; see `CompressionOptions`. */
export const compressionOptions = Type.Object(
  {
    topShare: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 1 })),
    quantize: Type.Optional(Type.Enum(["int8"])),
    rounding: Type.Optional(Type.Enum(["nearest", "stochastic"])),
    zstd: Type.Optional(size(19)),
    errorFeedback: Type.Boolean({ default: true }),
  },
  strict,
);
