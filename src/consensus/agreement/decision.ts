import type { PeerId } from "../../platform/signer.ts";
import type { Certificate } from "./certificate.ts";
import type { Choice } from "./word.ts";

/** Changes of members are decisions on this topic; nobody proposes them, since the ordering has decided them already. */
export const MEMBERS_TOPIC = "members";

/** A value that members vote on. Immutable. */
export interface Proposal {
  /** 32 hexadecimal digits. */
  readonly id: string;
  readonly topic: string;
  readonly value: Uint8Array;
  /** SHA-256 of the value, 64 hexadecimal digits. */
  readonly digest: string;
  readonly proposer: PeerId;
  /** How long each member waits, by its own clock, before it says that the time is over. */
  readonly expiresAfterMs: number;
}

/** A vote that counts. */
export interface CastVote {
  readonly member: PeerId;
  readonly choice: Choice;
  /** Empty where none was given. */
  readonly reason: string;
}

/** A proposal that is not decided yet, as it stands at the moment. */
export interface OpenProposal extends Proposal {
  /** Of the members that vote on it. */
  readonly epoch: number;
  /** How many of them have to accept it. */
  readonly quorum: number;
  /** As they came in. */
  readonly votes: readonly CastVote[];
}

/**
 * How a ballot ended. `accepted`: a quorum of the members at the proposal's place accepts it; `rejected`: that can not come
 * about any more; `cancelled`: by the proposer before; `expired`: a quorum of the present members said before that its time
 * is over.
 */
export type Outcome = "accepted" | "rejected" | "cancelled" | "expired";

/** How a proposal ended, the same at every member. Immutable. */
export interface Decision {
  readonly group: string;
  /** Place among the decisions of the group, from 1, without gaps. */
  readonly number: number;
  readonly proposalId: string;
  readonly topic: string;
  readonly value: Uint8Array;
  readonly digest: string;
  /** Undefined for changes of members. */
  readonly proposer: PeerId | undefined;
  readonly outcome: Outcome;
  /** Why members rejected it, as far as they said so. */
  readonly reasons: readonly string[];
  /** Of the members when it was decided; for a change of members, of those before it. */
  readonly epoch: number;
  /** Of what was accepted, as soon as a quorum of these members has put its name to it. */
  readonly certificate: Certificate | undefined;
}

/** @returns whether nothing is waited for any more: it has its certificate, or there will be none */
export function isFinished({ outcome, certificate }: Decision): boolean {
  return outcome !== "accepted" || certificate !== undefined;
}
