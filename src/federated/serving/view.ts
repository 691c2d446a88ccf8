import type { BookedLabel, Label } from "../streams/label-book.ts";
import type { RecorderCounts } from "../streams/stream-recorder.ts";
import type { AlertMessage, DetectorCounts, ScoreMessage } from "./detector.ts";
import type { VersionBook } from "./version-book.ts";

/** An alert, and whose. */
export interface LearningAlert extends AlertMessage {
  /** Of the task, for people. */
  readonly name: string;
}

/** How a device's streams are judged by what a task has learned. */
export interface ServingState {
  /** 32 hexadecimal digits. */
  readonly task: string;
  readonly name: string;
  /** Round of the model that judges; absent while there is none. */
  readonly round?: number;
  /** Windows with a score above it are anomalous. */
  readonly threshold?: number;
  /** Why nothing is judged, in words. */
  readonly because?: string;
  /** Of the newest window that was judged since start. */
  readonly newest?: ScoreMessage;
  readonly alert: { readonly raised: boolean; readonly sinceMs?: number };
  readonly detector: DetectorCounts;
  readonly recorder: RecorderCounts;
  /** What each channel's values are normalised by, where the agents agreed on it. */
  readonly scale?: readonly {
    readonly channel: string;
    readonly mean: number;
    readonly deviation: number;
  }[];
}

/** What may be done with a task's models by hand. */
export type VersionCommand =
  | { readonly kind: "promote" | "pin"; readonly round: number }
  | { readonly kind: "rollback"; readonly round?: number }
  | { readonly kind: "unpin" };

/**
 * What a device makes of learned models on its own streams, for REST and CLI. Where a task is named it throws LearningError:
 * `learning.unknown-task`, or `learning.no-streams` where the task is not on streams, or this agent does not take part.
 */
export interface ServingView {
  state(task: string): ServingState;
  versions(task: string): VersionBook;
  /** @throws LearningError `learning.version` saying why it can not be done */
  command(task: string, command: VersionCommand): Promise<VersionBook>;
  labels(task: string): readonly BookedLabel[];
  /** @throws LearningError `learning.label` naming what is wrong with it; StoreError */
  addLabel(task: string, label: Label): Promise<BookedLabel>;
  /** @returns false when there is none of that id @throws StoreError */
  removeLabel(task: string, id: number): Promise<boolean>;
  /** Of all tasks, newest first; as many as are kept since start. */
  alerts(): readonly LearningAlert[];
}
