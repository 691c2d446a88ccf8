import type { PeerId, Signer } from "../../platform/signer.ts";
import { EVIDENCE_MAX } from "./limits.ts";
import { isGenuine, readWord, type Word } from "./word.ts";

/** Two votes of one member on one proposal that contradict each other: it lies, and here is the proof. */
export interface Evidence {
  readonly accused: PeerId;
  readonly first: Word;
  readonly second: Word;
}

/** What a third party checks. @returns whether the accused is proven to have voted twice; never throws */
export function isProof(
  signer: Signer,
  group: string,
  { accused, first, second }: Evidence,
): boolean {
  const [one, other] = [first, second].map(({ signed }) => readWord(signer, group, signed));
  if (one === undefined || typeof one === "string") return false;
  if (other === undefined || typeof other === "string") return false;
  return (
    one.speaker === accused &&
    contradict(one, other) &&
    isGenuine(signer, one) &&
    isGenuine(signer, other)
  );
}

/** @returns whether the words are votes that no honest member casts both; signatures are not looked at */
export function contradict(first: Word, second: Word): boolean {
  const [one, other] = [first.body, second.body];
  if (one.kind !== "vote" || other.kind !== "vote") return false;
  return (
    first.speaker === second.speaker &&
    first.proposalId === second.proposalId &&
    (one.choice !== other.choice || one.digest !== other.digest)
  );
}

/** The last proofs, one for each member and proposal. */
export class EvidenceLog {
  readonly #proofs = new Map<string, Evidence>();

  /** Whether it is known that the member lied about the proposal. */
  has(accused: PeerId, proposalId: string): boolean {
    return this.#proofs.has(`${proposalId}/${accused}`);
  }

  add(evidence: Evidence): void {
    this.#proofs.set(`${evidence.first.proposalId}/${evidence.accused}`, evidence);
    if (this.#proofs.size <= EVIDENCE_MAX) return;
    for (const oldest of this.#proofs.keys()) {
      this.#proofs.delete(oldest);
      break;
    }
  }

  /** Oldest first. */
  all(): readonly Evidence[] {
    return [...this.#proofs.values()];
  }
}
