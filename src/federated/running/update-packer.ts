import type { Random } from "../../platform/random.ts";
import { packExactly } from "../combining/exact-packing.ts";
import { ErrorFeedback } from "../compression/error-feedback.ts";
import type { TaskSpec } from "../tasks/task-spec.ts";

/** Makes of updates what travels. What compression leaves out is kept for the next one, where the task wants that. */
export class UpdatePacker {
  readonly #compression: TaskSpec["compression"];
  readonly #random: Random;
  readonly #feedback: ErrorFeedback | undefined;

  constructor({ compression }: Pick<TaskSpec, "compression">, random: Random) {
    this.#compression = compression;
    this.#random = random;
    const { errorFeedback = false, ...options } = compression ?? {};
    this.#feedback = errorFeedback
      ? new ErrorFeedback(options, random.fork("rounding"))
      : undefined;
  }

  pack(update: Float32Array): Uint8Array {
    if (this.#compression === undefined) return packExactly(update);
    if (this.#feedback !== undefined) return this.#feedback.compress(update).bytes;
    const { errorFeedback: _, ...options } = this.#compression;
    return new ErrorFeedback(options, this.#random).compress(update).bytes;
  }
}
