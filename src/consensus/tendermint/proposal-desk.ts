import type { SignedProposal, ValueId } from "./vote.ts";

/** Of one round: what an honest proposer says, and one contradiction of it. */
const PROPOSALS_OF_ROUND_MAX = 2;

interface Entry {
  readonly proposal: SignedProposal;
  wasHandedOn: boolean;
}

/** What became of a proposal. */
export type DeskOutcome =
  | { readonly kind: "taken" | "duplicate" | "surplus" }
  /** It is taken as well: others may have decided by it. */
  | { readonly kind: "contradicting"; readonly first: SignedProposal };

/** Proposals that wait for their value, and for the verdict on it. */
export class ProposalDesk {
  readonly #rounds = new Map<number, Entry[]>();

  /** @returns whether that very proposal is here, or no more of its round are taken */
  has({ round, valueId, validRound }: SignedProposal): DeskOutcome["kind"] | undefined {
    const entries = this.#rounds.get(round) ?? [];
    const isKnown = entries.some(
      ({ proposal }) => proposal.valueId === valueId && proposal.validRound === validRound,
    );
    if (isKnown) return "duplicate";
    return entries.length >= PROPOSALS_OF_ROUND_MAX ? "surplus" : undefined;
  }

  /** @param isWanted more than 2/3 are for its value: that lets one more of the round in */
  add(proposal: SignedProposal, isWanted: boolean): DeskOutcome {
    const kind = this.has(proposal);
    if (kind === "duplicate" || (kind === "surplus" && !isWanted)) return { kind };
    const entries = this.#rounds.get(proposal.round) ?? [];
    const [first] = entries;
    this.#rounds.set(proposal.round, [...entries, { proposal, wasHandedOn: false }]);
    return first === undefined
      ? { kind: "taken" }
      : { kind: "contradicting", first: first.proposal };
  }

  /** @returns undefined when the value was not proposed in the round */
  get(round: number, valueId: ValueId): SignedProposal | undefined {
    const entries = this.#rounds.get(round) ?? [];
    return entries.find(({ proposal }) => proposal.valueId === valueId)?.proposal;
  }

  /** Proposals of a value about which all is known now; each once, the earliest round first. */
  take(valueId: ValueId): SignedProposal[] {
    const taken: SignedProposal[] = [];
    for (const entries of this.#rounds.values())
      for (const entry of entries) {
        if (entry.proposal.valueId !== valueId || entry.wasHandedOn) continue;
        entry.wasHandedOn = true;
        taken.push(entry.proposal);
      }
    return taken.sort((one, other) => one.round - other.round);
  }

  /** Drops the proposals of the rounds before. */
  forgetBefore(round: number): void {
    for (const at of this.#rounds.keys()) if (at < round) this.#rounds.delete(at);
  }
}
