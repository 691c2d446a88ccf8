/** What must hold of a network of Tendermint nodes at any time, whatever liars and the network do. */

import { faultOfCertificate } from "../../../src/consensus/tendermint/certificate.ts";
import type { Decision, TendermintEffects } from "../../../src/consensus/tendermint/effects.ts";
import { faultOfEvidence, offenderOf } from "../../../src/consensus/tendermint/evidence.ts";
import type { RoundState } from "../../../src/consensus/tendermint/round-machine.ts";
import type { BallotVerifier } from "../../../src/consensus/tendermint/signing.ts";
import type { ValidatorSet } from "../../../src/consensus/tendermint/validators.ts";
import type { SignedProposal, SignedVote } from "../../../src/consensus/tendermint/vote.ts";
import type { PeerId } from "../../../src/platform/signer.ts";
import { isQuorum, Justified } from "./justified.ts";

export interface InvariantParts {
  readonly verifier: BallotVerifier;
  readonly liars: ReadonlySet<PeerId>;
  /** Whether a value may be decided on. */
  readonly isValid: (value: Uint8Array) => boolean;
  /** Whether anybody, honest or not, proposed it. */
  readonly wasProposed: (value: Uint8Array) => boolean;
  /** Whose turn it is; undefined where nobody knows yet. */
  readonly proposerOf: (height: number, round: number) => PeerId | undefined;
}

/** Hears of everything that honest nodes do, and throws at the first breach. */
export class TendermintInvariants {
  readonly #parts: InvariantParts;
  readonly #decisions = new Map<number, Decision>();
  readonly #words = new Map<string, string>();
  readonly #offences = new Set<string>();
  readonly #justified: Justified;

  constructor(parts: InvariantParts) {
    this.#parts = parts;
    this.#justified = new Justified(parts.liars, parts.proposerOf);
  }

  /** Heights that somebody decided. */
  get decisions(): ReadonlyMap<number, Decision> {
    return this.#decisions;
  }

  /** Offences that were told. */
  get offences(): ReadonlySet<string> {
    return this.#offences;
  }

  /** @param validators of the height that the node is at */
  effects(node: PeerId, effects: TendermintEffects, validators: ValidatorSet): void {
    // What is said together has no order: a vote may come before the proposal that it is for.
    for (const { message } of effects.send)
      if (message.kind === "proposal" && message.proposal.proposer === node)
        this.#proposes(node, message.proposal);
    for (const { message } of effects.send) {
      if (message.kind !== "votes") continue;
      for (const vote of message.votes)
        if (vote.validator === node) this.#votes(node, vote, validators);
    }
    for (const decision of effects.decide) this.#decided(node, decision, validators);
    for (const evidence of effects.evidence) {
      const offender = offenderOf(evidence);
      if (!this.#parts.liars.has(offender))
        throw new Error(
          `accountability: evidence against the honest ${offender}: ${JSON.stringify(evidence)}`,
        );
      const fault = faultOfEvidence(evidence, this.#parts.verifier);
      if (fault !== undefined)
        throw new Error(`accountability: evidence that does not hold: ${fault}`);
      this.#offences.add(`${offender}/${evidence.first.height}/${evidence.first.round}`);
    }
  }

  /** After every event. */
  state(node: PeerId, { height, round, lockedRound, validRound, step }: RoundState): void {
    if (lockedRound > validRound || validRound > round)
      throw new Error(
        `locking: ${node} at ${height}/${round} ${step} is locked at ${lockedRound}, valid at ${validRound}`,
      );
  }

  #proposes(node: PeerId, proposal: SignedProposal): void {
    const { height, round, valueId, validRound } = proposal;
    this.#said(`${node} proposal ${height}/${round}`, `${valueId}/${validRound}`);
    this.#justified.proposed(proposal);
  }

  #votes(node: PeerId, vote: SignedVote, validators: ValidatorSet): void {
    this.#said(`${node} ${vote.kind} ${vote.height}/${vote.round}`, String(vote.valueId));
    this.#justified.voted(vote, validators);
  }

  #said(about: string, what: string): void {
    const before = this.#words.get(about);
    if (before !== undefined && before !== what)
      throw new Error(`no equivocation: ${about} for ${before} and for ${what}`);
    this.#words.set(about, what);
  }

  #decided(node: PeerId, decision: Decision, validators: ValidatorSet): void {
    const { height, value, valueId, certificate } = decision;
    const other = this.#decisions.get(height);
    if (other !== undefined && other.valueId !== valueId)
      throw new Error(
        `agreement: ${node} decided ${valueId} at ${height}, others ${other.valueId}`,
      );
    if (!this.#parts.isValid(value) || !this.#parts.wasProposed(value))
      throw new Error(`validity: ${node} decided at ${height} what nobody may decide`);
    if (certificate.kind !== "precommit" || certificate.valueId !== valueId)
      throw new Error(`proof: ${node} has a certificate of something else than its decision`);
    const fault = faultOfCertificate(certificate, validators, this.#parts.verifier);
    const signers = new Set(certificate.signatures.map(({ validator }) => validator));
    if (fault !== undefined || !isQuorum(signers, validators))
      throw new Error(`proof: ${node} decided without a proof: ${fault ?? "too few"}`);
    this.#decisions.set(height, decision);
  }
}
