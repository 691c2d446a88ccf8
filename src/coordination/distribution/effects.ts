import type { PeerId } from "../../platform/signer.ts";
import type { AgentOffer, Attempt, TaskSpec } from "./task.ts";

/**
 * Why a task is not taken. `invalid`: see the detail; `duplicate`: its id is in use, or was; `unknown-dependency`: the detail
 * names it; `failed-dependency`: likewise; `cycle`: the detail names the tasks in the circle; `unmet`: the detail names the requirements that nobody
 * meets; `full`: there are too many tasks, or too many kinds of them.
 */
export type RefusalReason =
  | "invalid"
  | "duplicate"
  | "unknown-dependency"
  | "failed-dependency"
  | "cycle"
  | "unmet"
  | "full";

/**
 * Why a task has failed. `attempts`: as often as it may; the detail is the last reason. `deadline`; `dependency`: the detail
 * names it; `unmet`: nobody can do it any more; `returned`: it came back from agents that left too often; `cancelled`.
 */
export type TaskFault = "attempts" | "deadline" | "dependency" | "unmet" | "returned" | "cancelled";

/** Something happened to a task. Each task that was taken ends exactly once, as `done` or as `failed`. */
export type TaskChange = { readonly id: string } & (
  | { readonly kind: "taken" }
  | { readonly kind: "refused"; readonly reason: RefusalReason; readonly detail: readonly string[] }
  | { readonly kind: "done"; readonly attempt: Attempt }
  | { readonly kind: "failed"; readonly reason: TaskFault; readonly detail: string }
  /** An attempt came to nothing; there will be another one. */
  | { readonly kind: "attempt-failed"; readonly attempt: Attempt; readonly reason: string }
  /** Its agent left, or did not take it; it is as before. */
  | { readonly kind: "returned"; readonly attempt: Attempt }
);

/** What happens to a scheduler. `nowMs` is monotonic and never goes back. */
export type SchedulerInput = { readonly nowMs: number } & (
  | { readonly kind: "tick" }
  /** Tasks that may wait for each other. Each is taken or refused by itself. */
  | { readonly kind: "submit"; readonly tasks: readonly TaskSpec[] }
  | { readonly kind: "cancel"; readonly id: string }
  /** An agent came, or reports anew. */
  | { readonly kind: "offer"; readonly offer: AgentOffer }
  | { readonly kind: "gone"; readonly peer: PeerId }
  | { readonly kind: "done"; readonly attempt: Attempt }
  | { readonly kind: "failed"; readonly attempt: Attempt; readonly reason: string }
  /** The agent does not take it: it is busier than it said. That costs no attempt; the task comes back. */
  | { readonly kind: "declined"; readonly attempt: Attempt }
);

/** What is to be done. */
export interface SchedulerEffects {
  readonly changes: readonly TaskChange[];
  /** Tasks to be given to agents. */
  readonly assign: readonly { readonly attempt: Attempt; readonly task: TaskSpec }[];
  /** Attempts whose agents are to stop. */
  readonly revoke: readonly Attempt[];
  readonly nextTickAtMs: number;
}
