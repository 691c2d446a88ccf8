import type { PeerId } from "../../platform/signer.ts";
import type { RefusalReason } from "../pbft/effects.ts";
import type { Evidence } from "../pbft/evidence.ts";

/** Proofs against liars that are kept. */
const EVIDENCE_MAX = 64;

/** Why something of another member was not taken. */
export type MemberRefusal =
  | RefusalReason
  /** Of an epoch that this member has not reached. */
  | "coming-epoch"
  /** Of an epoch that has ended here. */
  | "past-epoch"
  /** A name under a handover that is none. */
  | "wrong-handover"
  /** Says that an epoch ended otherwise than it did here. */
  | "other-handover";

/** Two words of one member that contradict each other, with the epoch in which it was one. */
export interface MemberEvidence {
  readonly epoch: number;
  readonly accused: PeerId | undefined;
  readonly evidence: Evidence;
}

/** What a member has seen since its process began. */
export interface PbftCounters {
  readonly epoch: number;
  readonly view: number;
  /** Batches, null requests too. */
  readonly batches: number;
  /** Values, and those of them that had been applied before. */
  readonly values: number;
  readonly refused: ReadonlyMap<MemberRefusal, number>;
  /** Oldest first, the first ones. */
  readonly evidence: readonly MemberEvidence[];
}

/** Counts for {@link PbftCounters}. */
export class Tally {
  readonly refused = new Map<MemberRefusal, number>();
  readonly evidence: MemberEvidence[] = [];
  batches = 0;
  values = 0;

  refuse(reason: MemberRefusal): void {
    this.refused.set(reason, (this.refused.get(reason) ?? 0) + 1);
  }

  accuse(evidence: MemberEvidence): void {
    if (this.evidence.length < EVIDENCE_MAX) this.evidence.push(evidence);
  }
}
