import type { Random } from "./random.ts";
import type {
  Evaluation,
  ModelSpec,
  ParameterInfo,
  Samples,
  TrainPlan,
  TrainReport,
} from "./training-backend.ts";

/** All that a run needs to go on from where it was, on this machine or another of the same backend. */
export interface TrainingCheckpoint {
  /** Steps that were taken. */
  readonly step: number;
  readonly weights: Float32Array;
  /** As long as the weights with momentum, empty without. */
  readonly velocity: Float32Array;
  /** Sum of the loss over the steps so far. */
  readonly lossSum: number;
}

/** How a run may be followed and led. */
export interface RunControl {
  /** Stops the run within a slice, a paused one too, whose pause ends; what was done is in the checkpoint. */
  readonly signal?: AbortSignal;
  /** Goes on from there: weights, velocity and place come from it, everything else from the plan, which has to be the same. */
  readonly from?: TrainingCheckpoint;
  /** Called after the first slice and after the last, and now and then in between. */
  readonly onProgress?: (progress: { readonly step: number; readonly steps: number }) => void;
}

/** What came of a run; `finished` is false when it was stopped. */
export interface RunOutcome extends TrainReport {
  readonly finished: boolean;
  readonly checkpoint: TrainingCheckpoint;
}

/**
 * A model that is trained elsewhere, while the caller does other things. Every call may fail with the errors of
 * `TrainableModel`; those that need the model itself are refused while it is trained.
 */
export interface RunnableModel {
  readonly spec: ModelSpec;
  readonly layout: readonly ParameterInfo[];
  readonly parameterCount: number;
  read(): Promise<Float32Array>;
  write(weights: Float32Array): Promise<void>;
  /**
   * Steps along the plan in slices of about 50 ms, at least one step each. The weights that come of it are those of one call
   * to the backend, bit for bit, however it was sliced, paused, stopped and gone on with; the mean loss may differ by its rounding.
   * `plan.velocity` is not written to. A run that fails leaves the weights as they came.
   */
  train(samples: Samples, plan: TrainPlan, control?: RunControl): Promise<RunOutcome>;
  /** Resolves once no step is taken any more; a run that comes later waits too. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Of the run at hand, after its last slice. @throws TrainingError `training.model` when nothing is trained */
  checkpoint(): Promise<TrainingCheckpoint>;
  evaluate(samples: Samples): Promise<Evaluation>;
  predict(features: Float32Array, count: number): Promise<Float32Array>;
  dispose(): Promise<void>;
}

/** Where models are trained without holding up the caller. */
export interface TrainingRunner {
  /** @throws TrainingError as `TrainingBackend.build` */
  build(spec: ModelSpec, random: Random): Promise<RunnableModel>;
  /** Bytes that models and their work hold now. */
  bytes(): Promise<number>;
  /** Ends runs and everything else; calls that wait for something fail. */
  close(): Promise<void>;
}
