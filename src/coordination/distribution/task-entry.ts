import type { PeerId } from "../../platform/signer.ts";
import type { Slot } from "./heap.ts";
import type { Attempt, TaskSpec } from "./task.ts";

/** A task that is not finished. `blocked`: others have to be done first; `resting`: between two attempts. */
export interface TaskEntry {
  readonly task: TaskSpec;
  /** Name of its kind, which is that of its requirements. */
  readonly kindKey: string;
  /** In which order tasks came. */
  readonly order: number;
  readonly deadlineAtMs: number;
  state: "blocked" | "ready" | "resting" | "assigned";
  /** Its place among the ready ones. */
  slot: Slot<TaskEntry> | undefined;
  attempt: Attempt | undefined;
  attempts: number;
  failures: number;
  returns: number;
  avoided: PeerId | undefined;
  /** How many of those it waits for are not done. */
  waitsFor: number;
  readonly waiters: Set<TaskEntry>;
}

/** Higher priorities first, then nearer deadlines, then in the order in which they came. */
export function precedes(one: TaskEntry, other: TaskEntry): boolean {
  if (one.task.priority !== other.task.priority) return one.task.priority > other.task.priority;
  if (one.deadlineAtMs !== other.deadlineAtMs) return one.deadlineAtMs < other.deadlineAtMs;
  return one.order < other.order;
}
