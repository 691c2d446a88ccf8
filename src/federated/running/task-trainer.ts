import type { Random } from "../../platform/random.ts";
import type { Evaluation, Samples } from "../../platform/training-backend.ts";
import type { FollowingModel } from "../personalization/following-model.ts";
import type { TaskSpec } from "../tasks/task-spec.ts";
import type { LearningGround } from "./learning-ground.ts";

/** What an agent has to learn from, and to be judged by. */
export interface OwnSamples {
  readonly train: Samples;
  /** Kept back; may be empty. */
  readonly test: Samples;
  /** Brings both up to date before a round is trained. @throws DataError, TrainingError where they can not be used any more */
  readonly refresh?: () => Promise<void>;
}

/** What training came to. */
export interface TrainedUpdate {
  /** As it travels. */
  readonly bytes: Uint8Array;
  readonly samples: number;
  /** Mean over the steps, each as it was before it. */
  readonly loss: number;
}

/** What any trainer works with. */
export interface TrainerParts {
  readonly spec: TaskSpec;
  readonly random: Random;
  /** Makes of updates what travels. */
  readonly pack: LearningGround["pack"];
  readonly onProgress: (progress: { readonly step: number; readonly steps: number }) => void;
}

/** Trains one task on this agent's own samples, in a thread of its own. */
export interface TaskTrainer {
  /** Whether what the agents agree on is a model, which can be judged and run. */
  readonly agreesOnModel: boolean;
  /** Name of the network that is trained, where the task has several. */
  readonly network: string | undefined;
  /** Beside what they agree on, where the task wants it. */
  readonly own: FollowingModel | undefined;
  /**
   * One round.
   * @param base what the agents agreed on last
   * @param agreed what gradients are corrected by, where the task wants that: the variate of all; absent before there is any
   * @returns undefined when it was abandoned
   * @throws TrainingError `training.not-finite` when training diverges
   * @throws DataError where samples can not be had any more
   */
  train(
    base: Float32Array,
    samples: OwnSamples,
    agreed?: Float32Array,
  ): Promise<TrainedUpdate | undefined>;
  /** Trains on where no round comes. @returns false when it was abandoned @throws TrainingError, DataError as {@link train} */
  trainAlone(base: Float32Array, samples: OwnSamples): Promise<boolean>;
  /** No step is taken from then on, until {@link resume}. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Throws away what is being trained. */
  abandon(): void;
  /** How good weights of this agent's network are on samples. @throws TrainingError */
  evaluate(weights: Float32Array, samples: Samples): Promise<Evaluation>;
  /** @returns outputs of weights, one after the other @throws TrainingError */
  predict(weights: Float32Array, features: Float32Array, count: number): Promise<Float32Array>;
  dispose(): Promise<void>;
}
