import type { Signer } from "../../platform/signer.ts";
import { signProposal, signVote } from "./signing.ts";
import {
  NO_ROUND,
  type SignedProposal,
  type SignedVote,
  type ValueId,
  type VoteKind,
} from "./vote.ts";

/** What a node says in its own name. `isNew` words are written down before they are sent. */
export interface Word<T> {
  readonly word: T;
  readonly isNew: boolean;
}

/**
 * Signs what this node says at one height, each thing once: asked again, it repeats what it said, whatever it is asked to
 * say now. That holds across restarts as far as it is {@link Ballot.remember}ed. Rounds only go up.
 */
export class Ballot {
  readonly #signer: Signer;
  readonly #instance: string;
  readonly #height: number;
  #round = NO_ROUND;
  #votes = new Map<VoteKind, SignedVote>();
  #proposal: SignedProposal | undefined;

  constructor(signer: Signer, instance: string, height: number) {
    this.#signer = signer;
    this.#instance = instance;
    this.#height = height;
  }

  /** What was said in the latest round. */
  get votes(): SignedVote[] {
    return [...this.#votes.values()];
  }

  /** What was proposed in the latest round. */
  get proposal(): SignedProposal | undefined {
    return this.#proposal;
  }

  /** Words from before a restart. */
  remember(votes: readonly SignedVote[], proposals: readonly SignedProposal[]): void {
    for (const vote of votes) if (this.#reach(vote.round)) this.#votes.set(vote.kind, vote);
    for (const proposal of proposals) if (this.#reach(proposal.round)) this.#proposal = proposal;
  }

  /** @returns undefined for a round that is over: nothing is said there any more */
  vote(kind: VoteKind, round: number, valueId: ValueId | null): Word<SignedVote> | undefined {
    if (!this.#reach(round)) return undefined;
    const said = this.#votes.get(kind);
    if (said !== undefined) return { word: said, isNew: false };
    const validator = this.#signer.peerId;
    const vote = { kind, height: this.#height, round, valueId, validator };
    const word = signVote(this.#signer, this.#instance, vote);
    this.#votes.set(kind, word);
    return { word, isNew: true };
  }

  /** @returns undefined for a round that is over: nothing is proposed there any more */
  propose(round: number, valueId: ValueId, validRound: number): Word<SignedProposal> | undefined {
    if (!this.#reach(round)) return undefined;
    if (this.#proposal !== undefined) return { word: this.#proposal, isNew: false };
    const proposer = this.#signer.peerId;
    const proposal = { height: this.#height, round, valueId, validRound, proposer };
    const word = signProposal(this.#signer, this.#instance, proposal);
    this.#proposal = word;
    return { word, isNew: true };
  }

  /** @returns whether the round is the latest one now */
  #reach(round: number): boolean {
    if (round > this.#round) {
      this.#round = round;
      this.#votes = new Map();
      this.#proposal = undefined;
    }
    return round === this.#round;
  }
}
