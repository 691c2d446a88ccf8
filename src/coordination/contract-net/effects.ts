import type { PeerId } from "../../platform/signer.ts";
import type {
  ContractMessage,
  FailureReason,
  InitiatorMessage,
  ParticipantMessage,
  RefuseReason,
} from "./messages.ts";
import type { Bid } from "./score.ts";
import type { Route, Task, Terms } from "./task.ts";

/** A message on its way. */
export interface Sent<M extends ContractMessage = ContractMessage> {
  readonly to: PeerId;
  readonly message: M;
}

/** Why a contractor no longer counts: as it said itself, or `silent`; `gone`: the membership lost it. */
export type LossReason = FailureReason | "silent" | "gone";

/**
 * Why a call ended without what was wanted. `no-candidates`: nobody to ask; `too-few-bids`: fewer bid than are needed at
 * least; `too-few-contractors`: too many failed, and there is no bid left, or no replacement; `not-awarded`: nobody said in
 * time that it should go on.
 */
export type CallFault =
  | "no-candidates"
  | "too-few-bids"
  | "too-few-contractors"
  | "not-awarded"
  | "expired"
  | "cancelled";

/** What a contractor came back with. */
export interface Result {
  readonly peer: PeerId;
  readonly output: string;
}

/** How a call ended, with everything that was done; `fault` is undefined when enough was. */
export interface CallOutcome {
  readonly fault: CallFault | undefined;
  readonly results: readonly Result[];
}

/** Something happened to a call. Each call tells of its end exactly once, and of nothing after that. */
export type CallChange = {
  readonly call: string;
} /** Bidding is over; an `award` input is waited for, best bid first. */ & (
  | { readonly kind: "bids-ready"; readonly bids: readonly Bid[] }
  /** Somebody bid in time. */
  | {
      readonly kind: "bid";
      readonly peer: PeerId;
      readonly cost: number;
      readonly endsInMs: number;
    }
  /** Somebody does not want to. */
  | { readonly kind: "refused"; readonly peer: PeerId; readonly reason: RefuseReason }
  | { readonly kind: "awarded"; readonly peer: PeerId }
  | { readonly kind: "accepted"; readonly peer: PeerId }
  | { readonly kind: "progress"; readonly peer: PeerId; readonly percent: number }
  | { readonly kind: "result"; readonly peer: PeerId; readonly output: string }
  | { readonly kind: "lost"; readonly peer: PeerId; readonly reason: LossReason }
  | { readonly kind: "ended"; readonly outcome: CallOutcome }
);

/** What happens to an initiator. `nowMs` is monotonic and never goes back. */
export type InitiatorInput = { readonly nowMs: number } & (
  | { readonly kind: "tick" }
  | {
      readonly kind: "call";
      readonly task: Task;
      readonly terms: Terms;
      readonly candidates: readonly PeerId[];
      /** Where the task was announced by somebody else before. */
      readonly route?: Route;
      /** Does not award before it is told to, and waits for that so long after the bidding. */
      readonly holdMs?: number;
    }
  /** The call goes on to award, where it waits for that. */
  | { readonly kind: "award"; readonly call: string }
  | { readonly kind: "cancel"; readonly call: string }
  | { readonly kind: "message"; readonly from: PeerId; readonly message: ParticipantMessage }
  /** The membership holds it to be dead, or to have left. */
  | { readonly kind: "gone"; readonly peer: PeerId }
);

/** What an initiator wants done. */
export interface InitiatorEffects {
  /** The name of the call that a `call` input began; undefined for other inputs, and where there are too many calls. */
  readonly called: string | undefined;
  readonly changes: readonly CallChange[];
  readonly send: readonly Sent<InitiatorMessage>[];
  readonly nextTickAtMs: number;
}

/** A bid, or a contract: whose call it answers. */
export interface ContractName {
  readonly initiator: PeerId;
  readonly call: string;
}

/** Why work on a contract is to stop. */
export type StopReason = "cancelled" | "expired" | "gone";

/**
 * Something happened to a contract. `begin`: it was awarded, and the work starts; `stop`: it is to stop, and nobody waits
 * for an end. `asked`: the task can not be done here, and may be passed on, until an `offer` or a `decline`; `lapsed`: it was
 * asked for or bid for, and nothing came of it.
 */
export type ContractChange = ContractName &
  (
    | { readonly kind: "begin"; readonly task: Task }
    | { readonly kind: "stop"; readonly reason: StopReason }
    | {
        readonly kind: "asked";
        readonly task: Task;
        readonly route: Route;
        readonly bidWithinMs: number;
        readonly holdMs: number;
        readonly expiresInMs: number;
      }
    | { readonly kind: "lapsed" }
  );

/** What happens to a participant. `nowMs` is monotonic and never goes back. */
export type ParticipantInput = { readonly nowMs: number } & (
  | { readonly kind: "tick" }
  | { readonly kind: "message"; readonly from: PeerId; readonly message: InitiatorMessage }
  | { readonly kind: "gone"; readonly peer: PeerId }
  /** Answers to `asked`. */
  | ({ readonly kind: "offer"; readonly cost: number; readonly endsInMs: number } & ContractName)
  | ({ readonly kind: "decline" } & ContractName)
  /** How the work goes on. */
  | ({ readonly kind: "progress"; readonly percent: number } & ContractName)
  | ({ readonly kind: "done"; readonly output: string } & ContractName)
  | ({ readonly kind: "failed"; readonly reason: "failed" | "withdrawn" } & ContractName)
);

/** What a participant wants done. */
export interface ParticipantEffects {
  readonly changes: readonly ContractChange[];
  readonly send: readonly Sent<ParticipantMessage>[];
  readonly nextTickAtMs: number;
}
