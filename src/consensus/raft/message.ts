import type { Entry, EntryId, Proposal } from "./entry.ts";
import type { Snapshot } from "./log-storage.ts";

interface Envelope {
  readonly from: number;
  readonly to: number;
}

interface TermEnvelope extends Envelope {
  /** Term of the sender; with a pre-vote the term that it would campaign for. */
  readonly term: number;
}

/** Asks for a vote, or whether there would be one (Ongaro and Ousterhout 2014, 5.2; Ongaro 2014, 9.6). */
export interface VoteRequest extends TermEnvelope {
  readonly kind: "vote" | "pre-vote";
  /** The last entry of the candidate. */
  readonly index: number;
  readonly logTerm: number;
  /** The leader asked for this election, so a leader that is alive is no reason against it (Ongaro 2014, 3.10). */
  readonly transfer: boolean;
}

/** The answer to a vote request. A granted pre-vote carries the term of the request, a refused one that of the voter. */
export interface VoteResponse extends TermEnvelope {
  readonly kind: "vote-response" | "pre-vote-response";
  readonly reject: boolean;
  /** The last entry that the voter knows to be committed, if it says so: the candidate may have it, and not know that. */
  readonly committed?: EntryId;
}

/** Entries behind a previous one, or none, and what is committed (Ongaro and Ousterhout 2014, 5.3). */
export interface AppendRequest extends TermEnvelope {
  readonly kind: "append";
  /** The previous entry. */
  readonly index: number;
  readonly logTerm: number;
  readonly entries: readonly Entry[];
  readonly commit: number;
  /** It only tells of a commit: a follower that has what is before it need not say so. */
  readonly quiet?: boolean;
}

/** What the follower has on disk, or where its log may agree with that of the leader. */
export interface AppendResponse extends TermEnvelope {
  readonly kind: "append-response";
  /** The last index in common; the refused previous one with `reject`. */
  readonly index: number;
  readonly reject: boolean;
  /** With `reject`: the last entry that may be in common. */
  readonly rejectHint: number;
  readonly logTerm: number;
}

/** A sign of life of the leader. The receiver gives `readRound` and `sentTick` back. */
export interface Heartbeat extends TermEnvelope {
  readonly kind: "heartbeat";
  /** Committed, as far as the receiver is known to have it. */
  readonly commit: number;
  /** Reads up to this round wait for a quorum that still knows the leader; 0 for none. */
  readonly readRound: number;
  /** When it was sent, in ticks of the leader. */
  readonly sentTick: number;
}

/** The answer to a heartbeat. */
export interface HeartbeatResponse extends TermEnvelope {
  readonly kind: "heartbeat-response";
  readonly readRound: number;
  readonly sentTick: number;
}

/** State in place of entries that the leader no longer has (Ongaro and Ousterhout 2014, section 7). */
export interface SnapshotMessage extends TermEnvelope {
  readonly kind: "snapshot";
  readonly snapshot: Snapshot;
}

/** The leader wants the receiver to campaign at once. */
export interface TimeoutNow extends TermEnvelope {
  readonly kind: "timeout-now";
}

/** A member asks the leader to hand leadership over. */
export interface TransferRequest extends TermEnvelope {
  readonly kind: "transfer-leader";
  readonly target: number;
}

/** Proposals that a follower passes on. They belong to no term. */
export interface ProposeMessage extends Envelope {
  readonly kind: "propose";
  readonly entries: readonly Proposal[];
}

/** A follower asks for the index that a read has to wait for (Ongaro 2014, 6.4). */
export interface ReadIndexRequest extends Envelope {
  readonly kind: "read-index";
  readonly context: Uint8Array;
}

/** The index that a read has to wait for. */
export interface ReadIndexResponse extends TermEnvelope {
  readonly kind: "read-index-response";
  readonly index: number;
  readonly context: Uint8Array;
}

/** What members say to each other. Data only. */
export type Message =
  | VoteRequest
  | VoteResponse
  | AppendRequest
  | AppendResponse
  | Heartbeat
  | HeartbeatResponse
  | SnapshotMessage
  | TimeoutNow
  | TransferRequest
  | ProposeMessage
  | ReadIndexRequest
  | ReadIndexResponse;

/** What may be sent only after everything before it is durable: it promises something. */
export type PromiseMessage = VoteResponse | AppendResponse;

/** A writer says that what a `StorageAppend` asked for is durable. */
export interface AppendDone {
  readonly kind: "append-done";
  readonly to: number;
  /** When the write was asked for: later terms may have asked for others in its place. */
  readonly term: number;
  /** The last entry then, or 0 when nothing was to be learnt about entries. */
  readonly index: number;
  readonly logTerm: number;
  readonly snapshot: Snapshot | undefined;
}

/** An applier says that entries are applied. */
export interface ApplyDone {
  readonly kind: "apply-done";
  readonly to: number;
  readonly entries: readonly Entry[];
}

/** What comes back to the node itself when something is durable or applied. */
export type Acknowledgement = AppendDone | ApplyDone | PromiseMessage;
