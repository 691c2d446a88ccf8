import { Ballot } from "./ballot.ts";
import { certificateOf } from "./certificate.ts";
import type { HeightDriver } from "./height-driver.ts";
import type { HeightParts } from "./height-parts.ts";
import { partCountOf } from "./parts.ts";
import type { ProposalDesk } from "./proposal-desk.ts";
import type { RoundOutput } from "./round-machine.ts";
import type { Turn } from "./turn.ts";
import { inline, type ValueStore } from "./value-store.ts";
import { NO_ROUND, type SignedProposal, type SignedVote, type ValueId } from "./vote.ts";
import type { Recovered } from "./wal.ts";

/** What this node says at one height, and what it writes down before it does. */
export class Speech {
  readonly #height: number;
  readonly #driver: HeightDriver<SignedVote>;
  readonly #values: ValueStore;
  readonly #desk: ProposalDesk;
  readonly #ballot: Ballot;
  readonly #written = new Set<ValueId>();
  #writtenPolka = NO_ROUND;

  constructor(
    { signer, instance }: HeightParts,
    driver: HeightDriver<SignedVote>,
    values: ValueStore,
    desk: ProposalDesk,
  ) {
    const { height } = driver.state;
    this.#height = height;
    this.#desk = desk;
    this.#driver = driver;
    this.#values = values;
    this.#ballot = new Ballot(signer, instance, height);
  }

  /** This node has proposed in the latest round. */
  get hasProposed(): boolean {
    return this.#ballot.proposal !== undefined;
  }

  /** All that is on disk already, and all that was said. */
  remember({ votes, proposals, values, polka }: Recovered): void {
    this.#ballot.remember(votes, proposals);
    for (const valueId of values.keys()) this.#written.add(valueId);
    this.#writtenPolka = polka?.round ?? NO_ROUND;
  }

  /** @returns what was proposed; undefined when it is too late for that */
  propose(
    turn: Turn,
    output: Extract<RoundOutput, { kind: "proposal" }>,
  ): SignedProposal | undefined {
    const { round, valueId, validRound } = output;
    const said = this.#ballot.propose(round, valueId, validRound);
    if (said === undefined) return undefined;
    const { word, isNew } = said;
    this.#writeValue(turn, word.valueId);
    if (isNew) turn.persist.push({ kind: "proposal", proposal: word });
    this.#sendProposal(turn, word);
    this.#sendParts(turn, word.valueId);
    return word;
  }

  /** @returns the vote; undefined when it is too late for that */
  vote(turn: Turn, output: Extract<RoundOutput, { kind: "vote" }>): SignedVote | undefined {
    const said = this.#ballot.vote(output.vote, output.round, output.valueId);
    if (said === undefined) return undefined;
    if (said.isNew) turn.persist.push({ kind: "vote", vote: said.word });
    turn.toAll({ kind: "votes", votes: [said.word] });
    return said.word;
  }

  /** Before a precommit for it is sent, the valid value and its polka are on disk: a whole committee may lose its power. */
  writeValid(turn: Turn): void {
    const { validRound, validValue } = this.#driver.state;
    if (validValue === null || validRound <= this.#writtenPolka) return;
    const votes = this.#driver.keeper.certificate(validRound, "prevote", validValue);
    if (votes === undefined) return;
    this.#writtenPolka = validRound;
    this.#writeValue(turn, validValue);
    turn.persist.push({ kind: "polka", certificate: certificateOf(votes) });
    this.#spreadPolka(turn);
  }

  /** Where a node is that restarts, others may not be yet: only these votes get them there. */
  writeEntrance(turn: Turn): void {
    const votes = this.#entrance(this.#driver.state.round);
    if (votes.length > 0) turn.persist.push({ kind: "entrance", height: this.#height, votes });
  }

  /** Says again what others may have missed in this round, and lets them into it. */
  repeat(turn: Turn): void {
    const { round } = this.#driver.state;
    const votes = new Set<SignedVote>([...this.#ballot.votes, ...this.#entrance(round)]);
    if (votes.size > 0) turn.toAll({ kind: "votes", votes: [...votes] });
    else turn.toAll({ kind: "ask", height: this.#height });
    const { proposal } = this.#ballot;
    if (proposal !== undefined && proposal.round === round) this.#sendProposal(turn, proposal);
    this.#spreadPolka(turn);
  }

  /**
   * What a liar said to this node alone may be what made a value valid here. After the first round that must not stay
   * hidden: others would go on to propose values that this node, locked, can not vote for.
   */
  #spreadPolka(turn: Turn): void {
    const { round, validRound, validValue } = this.#driver.state;
    if (round === 0 || validRound !== round || validValue === null) return;
    const votes = this.#driver.keeper.certificate(round, "prevote", validValue);
    if (votes !== undefined) turn.toAll({ kind: "polka", certificate: certificateOf(votes) });
    const proposal = this.#desk.get(round, validValue);
    if (proposal !== undefined) this.#sendProposal(turn, proposal);
  }

  /** The votes that let this node into a round, which let others in as well. */
  #entrance(round: number): SignedVote[] {
    const { keeper } = this.#driver;
    if (keeper.hasQuorumOfAny(round - 1, "precommit"))
      return [...(keeper.count(round - 1, "precommit")?.votes() ?? [])];
    if (round === 0) return [];
    return [
      ...(keeper.count(round, "prevote")?.votes() ?? []),
      ...(keeper.count(round, "precommit")?.votes() ?? []),
    ];
  }

  #sendProposal(turn: Turn, proposal: SignedProposal): void {
    const { valueId, validRound } = proposal;
    const known = this.#values.get(valueId);
    if (known === undefined) return;
    const votes = this.#driver.keeper.certificate(validRound, "prevote", valueId);
    const value = inline(known);
    turn.toAll({
      kind: "proposal",
      proposal,
      manifest: known.manifest,
      ...(value !== undefined && { value }),
      ...(votes !== undefined && { polka: certificateOf(votes) }),
    });
  }

  #sendParts(turn: Turn, valueId: ValueId): void {
    const known = this.#values.get(valueId);
    // One part travels with the proposal.
    if (known === undefined || inline(known) !== undefined) return;
    const count = partCountOf(known.manifest);
    const indexes = Array.from({ length: count }, (_, index) => index);
    for (const part of this.#values.parts(valueId, indexes))
      turn.toAll({ kind: "part", height: this.#height, valueId, part });
  }

  #writeValue(turn: Turn, valueId: ValueId): void {
    const value = this.#values.get(valueId)?.value;
    if (value === undefined || this.#written.has(valueId)) return;
    this.#written.add(valueId);
    turn.persist.push({ kind: "value", height: this.#height, valueId, value });
  }
}
