import type { PeerId } from "../../platform/signer.ts";

/** Names a value without carrying it: the digest of its manifest, 64 hexadecimal digits. */
export type ValueId = string;

/** The two votes of a round, in their order. */
export type VoteKind = "prevote" | "precommit";

/** What a validator says of a value in one round; `null` is a vote for nil: for no value at all. */
export interface Vote {
  readonly kind: VoteKind;
  readonly height: number;
  readonly round: number;
  readonly valueId: ValueId | null;
  readonly validator: PeerId;
}

/** A vote that anybody can hold its maker to. */
export interface SignedVote extends Vote {
  /** 64 bytes over the vote's canonical bytes. */
  readonly signature: Uint8Array;
}

/** What the proposer of a round puts to the vote. */
export interface Proposal {
  readonly height: number;
  readonly round: number;
  readonly valueId: ValueId;
  /** The round in which the value had more than 2/3 of the prevotes, -1 for a fresh value. */
  readonly validRound: number;
  readonly proposer: PeerId;
}

/** A proposal that anybody can hold its maker to. */
export interface SignedProposal extends Proposal {
  /** 64 bytes over the proposal's canonical bytes. */
  readonly signature: Uint8Array;
}

/** No round: what nothing was locked in, or found valid in. */
export const NO_ROUND = -1;
