import {
  type Evaluation,
  type ModelSpec,
  type Samples,
  TrainingError,
  type TrainPlan,
} from "../training-backend.ts";
import type { RunOutcome, TrainingCheckpoint } from "../training-runner.ts";

/** What the training thread can be asked for, and what it answers. */
export interface Calls {
  build: { ask: { spec: ModelSpec; weights: Float32Array }; answer: number };
  read: { ask: { model: number }; answer: Float32Array };
  write: { ask: { model: number; weights: Float32Array }; answer: void };
  train: {
    ask: {
      model: number;
      samples: Samples;
      plan: TrainPlan;
      from?: TrainingCheckpoint | undefined;
      /** Whether to tell of each slice. */
      tells: boolean;
    };
    answer: RunOutcome;
  };
  stop: { ask: { model: number }; answer: void };
  pause: { ask: { model: number }; answer: void };
  resume: { ask: { model: number }; answer: void };
  checkpoint: { ask: { model: number }; answer: TrainingCheckpoint };
  evaluate: { ask: { model: number; samples: Samples }; answer: Evaluation };
  predict: { ask: { model: number; features: Float32Array; count: number }; answer: Float32Array };
  dispose: { ask: { model: number }; answer: void };
  bytes: { ask: object; answer: number };
}

/** A call on its way to the thread. */
export type Request = {
  [Kind in keyof Calls]: { readonly id: number; readonly kind: Kind } & Calls[Kind]["ask"];
}[keyof Calls];

/** Work beside training, on its way to the thread. */
export interface OtherRequest {
  readonly id: number;
  readonly kind: "other";
  readonly name: string;
  /** As whoever does it wants it. */
  readonly ask: never;
}

/** What comes back: an answer, an error, or how far a run is. */
export type Reply =
  | { readonly id: number; readonly kind: "answer"; readonly answer: unknown }
  | {
      readonly id: number;
      readonly kind: "error";
      readonly code: TrainingError["code"];
      readonly message: string;
    }
  | {
      readonly id: number;
      readonly kind: "progress";
      readonly step: number;
      readonly steps: number;
    };

/** An error in a form that can be sent. */
export function sent(id: number, error: unknown): Reply {
  const code = error instanceof TrainingError ? error.code : "training.backend";
  const message = error instanceof Error ? error.message : String(error);
  return { id, kind: "error", code, message };
}
