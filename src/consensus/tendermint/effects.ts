import type { PeerId } from "../../platform/signer.ts";
import type { Certificate } from "./certificate.ts";
import type { Evidence } from "./evidence.ts";
import type { AskedParts, TendermintMessage } from "./messages.ts";
import type { ValidatorChange } from "./proposer-rotation.ts";
import type { TimeoutKind } from "./round-machine.ts";
import type { ValueId } from "./vote.ts";
import type { WalEntry } from "./wal.ts";

/** A wait that a node asks for. `rebroadcast` says again what others may have missed; its round is 0. */
export interface TendermintTimer {
  readonly kind: TimeoutKind | "rebroadcast";
  readonly height: number;
  readonly round: number;
}

/** What happens to a node. */
export type TendermintInput =
  /** First of all, once. */
  | { readonly kind: "start" }
  | { readonly kind: "message"; readonly from: PeerId; readonly message: TendermintMessage }
  /** A wait that was asked for is over. */
  | { readonly kind: "timeout"; readonly timer: TendermintTimer }
  /** The value that was asked for. It is taken to be valid. */
  | {
      readonly kind: "value";
      readonly height: number;
      readonly round: number;
      readonly value: Uint8Array;
    }
  /** Whether a value may be decided on at that height. All honest nodes have to come to the same verdict. */
  | {
      readonly kind: "verdict";
      readonly height: number;
      readonly valueId: ValueId;
      readonly isValid: boolean;
    }
  /** The decision was taken to heart: the next height begins, with these changes of the validators. */
  | {
      readonly kind: "next-height";
      readonly changes: readonly ValidatorChange[];
      /** As in `TendermintParts`. */
      readonly isMute?: boolean;
    };

/** What the host is asked for. */
export type HostRequest =
  /** Answered by the input `value`, while the round lasts. */
  | { readonly kind: "value"; readonly height: number; readonly round: number }
  /** Answered by the input `verdict`. */
  | {
      readonly kind: "verdict";
      readonly height: number;
      readonly valueId: ValueId;
      readonly value: Uint8Array;
    }
  /** A peer is further behind than what is kept here: a host that has the whole chain can send it what it asks for. */
  | {
      readonly kind: "history";
      readonly height: number;
      readonly peer: PeerId;
      /** Undefined: the decision. */
      readonly parts: AskedParts | undefined;
    };

/** What was agreed on. */
export interface Decision {
  readonly height: number;
  readonly round: number;
  readonly valueId: ValueId;
  readonly value: Uint8Array;
  readonly certificate: Certificate;
}

/**
 * Why something from a peer was not taken. `malformed`: out of range; `not-a-validator`: made by somebody without a vote;
 * `bad-signature`; `wrong-proposer`: not its turn; `bad-manifest`: it does not belong to the value; `bad-certificate`;
 * `bad-part`: it does not belong to the value; `unwanted-part`: nobody asked for the value; `far-height`, `far-round`,
 * `old-round`: out of what is kept; `too-many`: more than one peer, or one validator, has to say; `past-height`: answered
 * with the decision; `duplicate`: nothing new.
 */
export type RefusalKind =
  | "malformed"
  | "not-a-validator"
  | "bad-signature"
  | "wrong-proposer"
  | "bad-manifest"
  | "bad-certificate"
  | "bad-part"
  | "unwanted-part"
  | "far-height"
  | "far-round"
  | "old-round"
  | "too-many"
  | "past-height"
  | "duplicate";

/** Something from a peer that was not taken. */
export interface Refusal {
  readonly from: PeerId;
  readonly kind: RefusalKind;
}

/** A message. */
export interface OutgoingMessage {
  /** Undefined: everybody who follows the instance. */
  readonly to: PeerId | undefined;
  readonly message: TendermintMessage;
}

/**
 * What is to be done. `persist` is on disk before anything of `send` and `decide` is done, also of later effects: a runner
 * keeps the order of its effects. Timers are one-shot and not cancelled; a late one does no harm.
 */
export interface TendermintEffects {
  readonly persist: readonly WalEntry[];
  readonly send: readonly OutgoingMessage[];
  readonly timers: readonly { readonly timer: TendermintTimer; readonly afterMs: number }[];
  readonly decide: readonly Decision[];
  /** Each offence once. */
  readonly evidence: readonly Evidence[];
  readonly requests: readonly HostRequest[];
  readonly refused: readonly Refusal[];
}
