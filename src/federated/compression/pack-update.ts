import { SeededRandom } from "../../platform/seeded-random.ts";
import { packExactly } from "../combining/exact-packing.ts";
import { type CompressionOptions, compress } from "./codec.ts";
import { ErrorFeedback } from "./error-feedback.ts";

/** An update, and how it is to travel. */
export interface PackJob {
  readonly update: Float32Array;
  /** Absent where not one bit may be lost. */
  readonly compression?: CompressionOptions & { readonly errorFeedback?: boolean };
  /** What was left out of the updates before it. */
  readonly residual?: Float32Array;
  /** Of the chance that roundings draw; without it nothing is rounded by chance. */
  readonly seed?: string;
}

/** An update as it travels. */
export interface PackedUpdate {
  readonly bytes: Uint8Array;
  /** What was left out, to be given with the next update; only with error feedback. */
  readonly residual?: Float32Array;
}

/** Makes of an update what travels. Synchronous and long for large models. @throws CompressionError for one that is not finite */
export function packUpdate({ update, compression, residual, seed }: PackJob): PackedUpdate {
  if (compression === undefined) return { bytes: packExactly(update) };
  const { errorFeedback = false, ...options } = compression;
  const random = seed === undefined ? undefined : new SeededRandom(seed);
  if (!errorFeedback) return { bytes: compress(update, options, random) };
  const feedback = new ErrorFeedback(options, random, residual);
  const { bytes } = feedback.compress(update);
  return { bytes, ...(feedback.residual !== undefined && { residual: feedback.residual }) };
}
