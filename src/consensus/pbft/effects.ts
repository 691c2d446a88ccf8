import type { StoreOperation } from "../../platform/key-value-store.ts";
import type { PeerId } from "../../platform/signer.ts";
import type { Certificate } from "./certificate.ts";
import type { Evidence } from "./evidence.ts";
import type { Request } from "./request.ts";

/**
 * `progress`: a known request was not executed in time; `new-view`: a view that a quorum asked for did not begin in time;
 * `resend`: time to look whether something was lost.
 */
export type TimerName = "progress" | "new-view" | "resend";

/** What happens to a replica. */
export type PbftInput =
  /** The transport vouches for `from`. */
  | { readonly kind: "message"; readonly from: PeerId; readonly bytes: Uint8Array }
  /**
   * From a client, directly; encoded as by `makeRequest`. `isOwn`: whoever runs this replica has signed it, as a client of
   * the same name; that is not checked again.
   */
  | { readonly kind: "request"; readonly bytes: Uint8Array; readonly isOwn?: boolean }
  | { readonly kind: "timer"; readonly timer: TimerName }
  /**
   * The application has executed what it was told to. `results` are in the order of the requests; `state` is its whole
   * state, there when the execution asked for it.
   */
  | {
      readonly kind: "executed";
      readonly sequence: number;
      readonly results: readonly Uint8Array[];
      readonly state?: Uint8Array;
    };

/** Requests for the application, in their final order. Each client's request comes once. */
export interface Execution {
  readonly sequence: number;
  /** Empty for a null request, and for a batch that holds nothing new. */
  readonly requests: readonly Request[];
  /** The application's state is wanted with the results. */
  readonly wantsState: boolean;
}

/** A state of the application that takes the place of its own. */
export interface Installation {
  /** The state is the one after this sequence number; 0 and no bytes are the empty state. */
  readonly sequence: number;
  readonly state: Uint8Array;
}

/**
 * For a client, which goes by f + 1 replicas that say the same. `executed`: the result of its request. `too-old`: a later
 * request of this client was executed, or it was not heard of for so long that it has to go on above `timestamp`.
 */
export type Reply =
  | {
      readonly kind: "executed";
      readonly client: string;
      readonly timestamp: number;
      readonly result: Uint8Array;
      readonly view: number;
    }
  | {
      readonly kind: "too-old";
      readonly client: string;
      /** Requests with a timestamp up to this one are executed no more. */
      readonly timestamp: number;
      readonly view: number;
    };

/** A batch that has its sequence number for ever, with the proof for others. */
export interface Decision {
  readonly certificate: Certificate;
  readonly requests: readonly Request[];
}

/** Why something was refused. */
export type RefusalReason =
  | "malformed"
  | "oversized"
  | "not-a-member"
  | "wrong-signature"
  | "wrong-view"
  | "outside-watermarks"
  | "not-the-primary"
  | "from-the-primary"
  | "not-the-sender"
  | "wrong-digest"
  | "bad-batch"
  | "bad-request"
  | "bad-certificate"
  | "bad-view-change"
  | "bad-new-view"
  | "contradiction"
  | "not-asked-for"
  | "too-old"
  | "too-many";

/** Something that was not taken. */
export interface Refusal {
  /** Undefined for what a client sent. */
  readonly from: PeerId | undefined;
  readonly reason: RefusalReason;
}

/** Starts a timer anew, or stops it. */
export interface TimerRequest {
  readonly timer: TimerName;
  /** Undefined stops it. */
  readonly afterMs: number | undefined;
}

/** What is to be done, in this order. */
export interface PbftEffects {
  /** To be durable, all of it or nothing, before anything else is done. */
  readonly persist: readonly StoreOperation[];
  readonly send: readonly { readonly to: readonly PeerId[]; readonly bytes: Uint8Array }[];
  readonly timers: readonly TimerRequest[];
  /** Before `execute`. */
  readonly install: Installation | undefined;
  /** One at a time: the next comes when the application has answered with `executed`. */
  readonly execute: Execution | undefined;
  readonly decided: readonly Decision[];
  readonly replies: readonly Reply[];
  readonly evidence: readonly Evidence[];
  readonly refused: readonly Refusal[];
}
