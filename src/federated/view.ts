import type { PeerId } from "../platform/signer.ts";
import type { ServingView } from "./serving/view.ts";
import type { TaskState } from "./tasks/control.ts";
import { LearningError } from "./tasks/learning-error.ts";
import type { TaskSpec } from "./tasks/task-spec.ts";

/** An agent, as far as it is known here. */
export interface LearningAgent {
  readonly peerId: PeerId;
  /** Absent for one that is not in this agent's table. */
  readonly agentId?: string;
  readonly self: boolean;
}

/**
 * What this agent does for a task at the moment. `resting`: its update is delivered, or its turn is another time;
 * `held`: the power policy lets it train no further for now; `no-data`: it has no samples for it; `failed`: it can not train it; `following`: it
 * learns nothing itself and knows how far the others are.
 */
export type LearningActivity =
  | "fetching"
  | "training"
  | "held"
  | "telling"
  | "resting"
  | "no-data"
  | "failed"
  | "following";

/** A round that a committee has decided. */
export interface LearningRound {
  /** From 1. */
  readonly round: number;
  /** Wall clock of this agent when it heard of it. */
  readonly heardAtMs: number;
  /** How long this agent had known the round before; absent for the first it heard of. */
  readonly tookMs?: number;
  readonly aggregator: LearningAgent;
  /** How many agents' updates are in it. */
  readonly updates: number;
  /** That these were trained on. */
  readonly samples: number;
  /** Of all rounds so far. */
  readonly samplesTotal: number;
  /** SHA-256 of the model that came of it. */
  readonly modelHash: string;
  /** Of the model on this agent's own held-out samples, where it has judged it. */
  readonly evaluation?: { readonly loss: number; readonly accuracy?: number };
  /** Of this agent's own model after the round, on the same samples, where the task gives it one. */
  readonly ownEvaluation?: { readonly loss: number; readonly accuracy?: number };
}

/** A learning task, as this agent sees it. */
export interface LearningTask {
  /** 32 hexadecimal digits. */
  readonly task: string;
  readonly spec: TaskSpec;
  readonly author: LearningAgent;
  readonly createdAtMs: number;
  /** What its author wants; `finished` once all its rounds are decided. */
  readonly state: TaskState | "finished";
  /** The newest that is decided; 0 before the first. */
  readonly round: number;
  readonly activity: LearningActivity;
  /** In words, where the activity wants any. */
  readonly because?: string;
  /** Of the training at hand. */
  readonly progress?: { readonly round: number; readonly step: number; readonly steps: number };
  /** Samples that this agent trains on. */
  readonly samples: number;
  /** Name of the network that this agent trains, where the task has several; `model` for the one that is in none of its `architectures`. */
  readonly network?: string;
  /** The newest round, where there is one. */
  readonly latest?: LearningRound;
}

/** Numbers since the start, for metrics. */
export interface LearningCounters {
  readonly rounds: number;
  readonly updatesSent: number;
  readonly aggregations: number;
  readonly accepted: number;
  readonly rejected: number;
  readonly trainingFailures: number;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  /** Liars that were caught, by what they did. */
  readonly evidence: Readonly<Record<string, number>>;
}

/** Learning, in short. */
export interface LearningStatus {
  readonly enabled: boolean;
  readonly tasks: Readonly<Record<TaskState | "finished", number>>;
  /** Datasets that this agent can train on. */
  readonly datasets: readonly string[];
  readonly counters: LearningCounters;
}

/** Learning, for REST, CLI, page and metrics. */
export interface LearningView {
  status(): LearningStatus;
  /** Newest first. */
  tasks(): readonly LearningTask[];
  task(id: string): LearningTask | undefined;
  /** Rounds of a task with larger numbers, oldest first, as far as they are kept; undefined for a task that is not known. */
  rounds(id: string, after: number, limit: number): readonly LearningRound[] | undefined;
  /** Has the fleet learn something. @throws LearningError @throws StoreError */
  start(spec: unknown): Promise<LearningTask>;
  /** Only for the task's author. @throws LearningError @throws StoreError */
  control(id: string, state: TaskState): Promise<LearningTask>;
  /**
   * Runs the newest model.
   * @param features each as long as the model's input
   * @param model this agent's own one or the fleet's; as the task has it unless given
   * @returns for each the model's outputs @throws LearningError
   */
  predict(
    id: string,
    features: readonly (readonly number[])[],
    model?: "own" | "global",
  ): Promise<{
    /** That the model came of. */
    readonly round: number;
    /** Which one answered. */
    readonly model: "own" | "global";
    readonly outputs: readonly (readonly number[])[];
  }>;
  /** What this agent makes of learned models on its own streams. */
  readonly serving: ServingView;
}

const OFF: LearningStatus = {
  enabled: false,
  tasks: { running: 0, paused: 0, stopped: 0, finished: 0 },
  datasets: [],
  counters: {
    rounds: 0,
    updatesSent: 0,
    aggregations: 0,
    accepted: 0,
    rejected: 0,
    trainingFailures: 0,
    sentBytes: 0,
    receivedBytes: 0,
    evidence: {},
  },
};

function refusal(): LearningError {
  return new LearningError("learning.off", "this agent does not learn; set learning.enabled=true");
}

function off(): Promise<never> {
  return Promise.reject(refusal());
}

function none(): never {
  throw refusal();
}

/** Learning is off. */
export const noLearning: LearningView = {
  status: () => OFF,
  tasks: () => [],
  task: () => undefined,
  rounds: () => undefined,
  start: off,
  control: off,
  predict: off,
  serving: {
    state: none,
    versions: none,
    command: off,
    labels: none,
    addLabel: off,
    removeLabel: off,
    alerts: () => [],
  },
};
