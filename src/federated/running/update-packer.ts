import type { Random } from "../../platform/random.ts";
import type { TaskSpec } from "../tasks/task-spec.ts";
import type { LearningGround } from "./learning-ground.ts";

/** Makes of a task's updates what travels. What compression leaves out is kept for the next one, where the task wants that. */
export class UpdatePacker {
  readonly #compression: TaskSpec["compression"];
  readonly #random: Random;
  readonly #pack: LearningGround["pack"];
  #residual: Float32Array | undefined;

  constructor(
    { compression }: Pick<TaskSpec, "compression">,
    pack: LearningGround["pack"],
    random: Random,
  ) {
    this.#compression = compression;
    this.#pack = pack;
    this.#random = random;
  }

  /** One call at a time. @throws TrainingError, CompressionError for an update that is not finite */
  async pack(update: Float32Array): Promise<Uint8Array> {
    const compression = this.#compression;
    if (compression === undefined) return (await this.#pack({ update })).bytes;
    const { bytes, residual } = await this.#pack({
      update,
      compression,
      ...(this.#residual !== undefined && { residual: this.#residual }),
      seed: `rounding/${this.#random.next()}`,
    });
    this.#residual = residual;
    return bytes;
  }
}
