import type { Route, Task } from "./task.ts";

/** Call for proposals: who bids, in how much time, and until when a bid has to hold. Times run from its arrival. */
export interface Announce {
  readonly kind: "announce";
  readonly call: string;
  readonly task: Task;
  readonly route: Route;
  readonly bidWithinMs: number;
  readonly holdMs: number;
  readonly expiresInMs: number;
}

/** Why an agent does not bid. `delegated`: it asked others, and none of them would. */
export type RefuseReason =
  | "not-able"
  | "no-capacity"
  | "unwilling"
  | "loop"
  | "known"
  | "busy"
  | "delegated";

/** Why an agent does not finish what it was awarded. */
export type FailureReason = "failed" | "withdrawn" | "no-capacity" | "unknown" | "expired";

/** What the initiator says. `settle`: the end was heard of, it need not be said again. */
export type InitiatorMessage =
  | Announce
  | { readonly kind: "award" | "reject" | "cancel" | "settle"; readonly call: string };

/** What a participant says: a bid with its cost and the time it promises to end in, counted from the award. */
export type ParticipantMessage =
  | {
      readonly kind: "bid";
      readonly call: string;
      readonly cost: number;
      readonly endsInMs: number;
    }
  | { readonly kind: "refuse"; readonly call: string; readonly reason: RefuseReason }
  | { readonly kind: "accept"; readonly call: string }
  | { readonly kind: "progress"; readonly call: string; readonly percent: number }
  | { readonly kind: "result"; readonly call: string; readonly output: string }
  | { readonly kind: "failure"; readonly call: string; readonly reason: FailureReason };

/**
 * The words of the contract net (Smith, "The Contract Net Protocol", 1980), after the acts of FIPA SC00029H: `announce` is
 * cfp, `bid` propose, `award` accept-proposal, `reject` reject-proposal, `progress` and `result` inform. `accept` and
 * `settle` are there because links lose messages. Plain values, as JSON carries them.
 */
export type ContractMessage = InitiatorMessage | ParticipantMessage;
