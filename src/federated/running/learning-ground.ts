import type { TrainingRunner } from "../../platform/training-runner.ts";
import type { Combined, CombineJob, Inspected, UpdateForm } from "../combining/combine.ts";
import type { PackedUpdate, PackJob } from "../compression/pack-update.ts";
import type { Dataset } from "../data/dataset.ts";

/** What learning stands on: threads that train and combine, and samples on disk. Opened with the first task. */
export interface LearningGround {
  /** Trains without holding up the caller. */
  readonly training: TrainingRunner;
  /** Puts updates together without holding up the caller. @param seed of the chance that all who recompute it share */
  combine(job: CombineJob, seed: string): Promise<Combined>;
  /** Looks at an update without holding up the caller. @throws TrainingError where the thread has ended */
  inspect(bytes: Uint8Array, form: UpdateForm): Promise<Inspected>;
  /** Makes of an update what travels, without holding up the caller. @throws TrainingError, CompressionError where that can not be done */
  pack(job: PackJob): Promise<PackedUpdate>;
  /** @throws DataError in words that name the setting to change */
  dataset(name: string): Promise<Dataset | undefined>;
  close(): Promise<void>;
}
