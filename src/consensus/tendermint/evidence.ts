import type { PeerId } from "../../platform/signer.ts";
import type { BallotVerifier } from "./signing.ts";
import type { SignedProposal, SignedVote } from "./vote.ts";

/** Two messages that no honest validator signs both. */
export type Evidence =
  | { readonly kind: "votes"; readonly first: SignedVote; readonly second: SignedVote }
  | { readonly kind: "proposals"; readonly first: SignedProposal; readonly second: SignedProposal };

/** Why evidence proves nothing: its messages agree or are about different things, or somebody else made one. */
export type EvidenceFault = "no-contradiction" | "bad-signature";

/** Who is guilty. */
export function offenderOf(evidence: Evidence): PeerId {
  return evidence.kind === "votes" ? evidence.first.validator : evidence.first.proposer;
}

/**
 * Checks evidence without knowing anything of the consensus that it comes from.
 * @returns undefined when it holds
 */
export function faultOfEvidence(
  evidence: Evidence,
  verifier: BallotVerifier,
): EvidenceFault | undefined {
  if (evidence.kind === "votes") {
    const { first, second } = evidence;
    if (first.validator !== second.validator || first.kind !== second.kind)
      return "no-contradiction";
    if (first.height !== second.height || first.round !== second.round) return "no-contradiction";
    if (first.valueId === second.valueId) return "no-contradiction";
    return verifier.isSignedVote(first) && verifier.isSignedVote(second)
      ? undefined
      : "bad-signature";
  }
  const { first, second } = evidence;
  if (first.proposer !== second.proposer) return "no-contradiction";
  if (first.height !== second.height || first.round !== second.round) return "no-contradiction";
  if (first.valueId === second.valueId && first.validRound === second.validRound)
    return "no-contradiction";
  return verifier.isSignedProposal(first) && verifier.isSignedProposal(second)
    ? undefined
    : "bad-signature";
}

/** Hands out each offence once. Bounded: it forgets the oldest offences first. */
export class EvidencePool {
  readonly #known = new Set<string>();
  readonly #offencesMax: number;

  constructor(offencesMax: number) {
    this.#offencesMax = offencesMax;
  }

  /** @returns whether the offence is new */
  add(evidence: Evidence): boolean {
    const { height, round } = evidence.first;
    const about = evidence.kind === "votes" ? evidence.first.kind : "proposal";
    const key = `${height}/${round}/${about}/${offenderOf(evidence)}`;
    if (this.#known.has(key)) return false;
    if (this.#known.size >= this.#offencesMax)
      for (const oldest of this.#known) {
        this.#known.delete(oldest);
        break;
      }
    this.#known.add(key);
    return true;
  }
}
