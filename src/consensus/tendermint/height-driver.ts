import type { PeerId } from "../../platform/signer.ts";
import {
  advance,
  newHeight,
  type RoundInput,
  type RoundOutput,
  type RoundState,
  type Step,
  type TimeoutKind,
} from "./round-machine.ts";
import type { ValidatorSet } from "./validators.ts";
import { NO_ROUND, type Proposal, type ValueId, type Vote, type VoteKind } from "./vote.ts";
import { type KeptVote, type Tally, VoteKeeper } from "./vote-keeper.ts";

/** Proposals of one round that are kept: what an honest proposer says, and one contradiction of it. */
const PROPOSALS_OF_ROUND_MAX = 2;

/** What a driver is made of. */
export interface HeightDriverParts {
  readonly self: PeerId;
  readonly height: number;
  readonly validators: ValidatorSet;
  /** Who proposes in a round; the same for everybody. */
  readonly proposerOf: (round: number) => PeerId;
  /** See {@link VoteKeeper}. */
  readonly roundsAheadMax: number;
}

/** What happens in a height. Messages are signed by whom they name, from members, and of this height. */
export type DriverInput<V extends Vote> =
  /** With what came in before the height began. */
  | {
      readonly kind: "start";
      readonly votes: readonly V[];
      readonly certificates: readonly (readonly V[])[];
      readonly proposals: readonly Proposal[];
    }
  | { readonly kind: "own-value"; readonly valueId: ValueId }
  | { readonly kind: "proposal"; readonly proposal: Proposal; readonly isValid: boolean }
  | { readonly kind: "vote"; readonly vote: V }
  | { readonly kind: "certificate"; readonly votes: readonly V[] }
  /** Of the current round. */
  | { readonly kind: "timeout"; readonly timeout: TimeoutKind }
  | FollowUp;

/**
 * What is to be looked at after another input: see {@link HeightDriver.next}. `round-change`: a later round began at the
 * step at which the one before was left; the specification goes by the step alone, and would overlook what came early.
 */
export type FollowUp = { readonly kind: "step-change" | "round-change" | "pending" };

/** What one input led to. */
export interface DriverResult<V extends Vote> {
  readonly output: RoundOutput;
  /** Votes that contradict each other, found with this input. */
  readonly contradictions?: readonly (readonly [V, V])[];
  /** What became of the vote that was the input. */
  readonly outcome?: KeptVote<V>["outcome"];
}

interface Pending {
  readonly input: RoundInput;
  readonly round: number;
}

const NONE: RoundOutput = { kind: "none" };

/**
 * Drives the rules of one height: joins messages to what the round machine understands, one machine input for each of its
 * own, in the layering of the Quint specification of Malachite (driver, vote keeper, round machine). After each input the
 * caller takes what {@link HeightDriver.next} names until that is nothing. Proposals whose validity is not known do not come here.
 */
export class HeightDriver<V extends Vote> {
  readonly keeper: VoteKeeper<V>;
  readonly #parts: HeightDriverParts;
  readonly #proposals = new Map<number, Proposal[]>();
  /** Machine inputs of the current round that are done with, by {@link executedKey}. */
  readonly #executed = new Set<string>();
  #pending: Pending[] = [];
  #state: RoundState;
  #hasStarted = false;
  #change: "step-change" | "round-change" | undefined;
  #tally: Tally | undefined;

  constructor(parts: HeightDriverParts) {
    this.#parts = parts;
    this.keeper = new VoteKeeper(parts.validators, parts.roundsAheadMax);
    this.#state = newHeight(parts.height);
  }

  get state(): RoundState {
    return this.#state;
  }

  get hasStarted(): boolean {
    return this.#hasStarted;
  }

  /** What the last vote or certificate completed. */
  get tally(): Tally | undefined {
    return this.#tally;
  }

  /** Machine inputs that wait for {@link HeightDriver.next}, with their round. */
  get pending(): readonly Pending[] {
    return this.#pending;
  }

  get executed(): ReadonlySet<string> {
    return this.#executed;
  }

  /** The valid proposals of a round. */
  proposals(round: number): readonly Proposal[] {
    return this.#proposals.get(round) ?? [];
  }

  /** What has to come next; undefined when all is done that the inputs so far lead to. */
  next(): FollowUp | undefined {
    if (this.#change !== undefined) return { kind: this.#change };
    return this.#pending.length > 0 ? { kind: "pending" } : undefined;
  }

  /** Goes on where a validator was before it restarted. @throws Error when the height has begun already */
  resume(state: RoundState): void {
    if (this.#hasStarted) throw new Error("a height that has begun can not be resumed");
    if (state.height !== this.#parts.height)
      throw new Error(`height ${state.height} can not be resumed as ${this.#parts.height}`);
    this.#hasStarted = true;
    this.#change = "step-change";
    this.#state = state;
  }

  /** Takes one input, and does at most one thing. */
  step(input: DriverInput<V>): DriverResult<V> {
    const { step, round } = this.#state;
    const result = this.#enterSkipped(this.#take(input));
    const hasNewRound = round !== this.#state.round;
    this.#change = hasNewRound ? "round-change" : undefined;
    if (step !== this.#state.step) this.#change = "step-change";
    if (hasNewRound) this.#forget();
    return result;
  }

  #take(input: DriverInput<V>): DriverResult<V> {
    let result: DriverResult<V>;
    switch (input.kind) {
      case "start":
        result = this.#start(input);
        break;
      case "own-value":
        result = { output: this.#call(input) };
        break;
      case "proposal":
        result = { output: this.#proposal(input.proposal, input.isValid) };
        break;
      case "vote":
        result = this.#vote(input.vote);
        break;
      case "certificate":
        result = this.#certificate(input.votes);
        break;
      case "timeout": {
        const { height, round } = this.#state;
        result = { output: this.#call({ ...input, height, round }) };
        break;
      }
      case "step-change":
      case "round-change":
        result = { output: this.#stepChange() };
        break;
      case "pending":
        result = { output: this.#takePending() };
        break;
    }
    return result;
  }

  /** Where others are already: decided, in a later round, or nowhere. */
  #start(input: Extract<DriverInput<V>, { kind: "start" }>): DriverResult<V> {
    this.#hasStarted = true;
    const contradictions: (readonly [V, V])[] = [];
    let lastRound = 0;
    for (const vote of input.votes) {
      const { tally, contradicts } = this.keeper.add(vote, Number.POSITIVE_INFINITY);
      if (contradicts !== undefined) contradictions.push([contradicts, vote]);
      if (tally !== undefined) lastRound = Math.max(lastRound, tally.round);
    }
    for (const votes of input.certificates) {
      const taken = this.keeper.addCertificate(votes);
      if (taken === undefined) continue;
      contradictions.push(...taken.contradictions);
      lastRound = Math.max(lastRound, taken.tally.round);
    }
    const isDecided = input.proposals.some(
      ({ round, valueId, proposer }) =>
        proposer === this.#parts.proposerOf(round) &&
        this.keeper.hasQuorum(round, "precommit", valueId),
    );
    // Then no round begins: the proposal, when it comes as an input, decides.
    return { output: isDecided ? NONE : this.#enter(lastRound), contradictions };
  }

  #enter(round: number): RoundOutput {
    const isProposer = this.#parts.proposerOf(round) === this.#parts.self;
    return this.#call({ kind: isProposer ? "new-round-as-proposer" : "new-round", round });
  }

  /** A round that was skipped to begins at once. */
  #enterSkipped(result: DriverResult<V>): DriverResult<V> {
    const { output } = result;
    return output.kind === "skipped" ? { ...result, output: this.#enter(output.round) } : result;
  }

  #call(input: RoundInput): RoundOutput {
    const { round, step } = this.#state;
    if (this.#executed.has(executedKey(input, round, step))) return NONE;
    const { state, output } = advance(this.#state, input);
    this.#executed.add(executedKey(input, state.round, step));
    this.#state = state;
    return output;
  }

  #vote(vote: V): DriverResult<V> {
    const { outcome, tally, contradicts } = this.keeper.add(vote, this.#state.round);
    this.#tally = tally;
    const result = this.#counted(tally, vote.kind);
    return contradicts === undefined
      ? { ...result, outcome }
      : { ...result, outcome, contradictions: [[contradicts, vote]] };
  }

  #certificate(votes: readonly V[]): DriverResult<V> {
    const taken = this.keeper.addCertificate(votes);
    this.#tally = taken?.tally;
    if (taken === undefined) return { output: NONE };
    const kind = taken.tally.kind === "polka-value" ? "prevote" : "precommit";
    return { ...this.#counted(taken.tally, kind), contradictions: taken.contradictions };
  }

  #counted(tally: Tally | undefined, kind: VoteKind): DriverResult<V> {
    if (tally === undefined) return { output: NONE };
    return {
      output: kind === "prevote" ? this.#prevoted(tally) : this.#precommitted(tally),
    };
  }

  #prevoted(tally: Tally): RoundOutput {
    const { round } = this.#state;
    if (tally.kind === "skip") return this.#skip(tally.round);
    if (tally.kind === "polka-value") return this.#polka(tally.round, tally.valueId);
    if (tally.round !== round) return NONE;
    if (tally.kind !== "polka-any" && tally.kind !== "polka-nil") return NONE;
    return this.#call({ kind: tally.kind });
  }

  #polka(polkaRound: number, valueId: ValueId): RoundOutput {
    const { round } = this.#state;
    const proposals = this.proposals(round).filter((proposal) => proposal.valueId === valueId);
    if (polkaRound < round && proposals.some(({ validRound }) => validRound === polkaRound))
      return this.#call({ kind: "proposal-with-earlier-polka", valueId, validRound: polkaRound });
    if (polkaRound !== round) return NONE;
    if (proposals.length > 0) this.#defer({ kind: "proposal-with-polka", valueId });
    return this.#call({ kind: "polka-any" });
  }

  #precommitted(tally: Tally): RoundOutput {
    const { round } = this.#state;
    if (tally.kind === "skip") return this.#skip(tally.round);
    if (tally.kind === "precommit-value") {
      const { valueId } = tally;
      if (this.proposals(tally.round).some((proposal) => proposal.valueId === valueId))
        return this.#call({ kind: "proposal-with-commit", round: tally.round, valueId });
    }
    return tally.round === round ? this.#call({ kind: "precommit-any" }) : this.#skip(tally.round);
  }

  #skip(to: number): RoundOutput {
    return to > this.#state.round ? this.#call({ kind: "skip-round", round: to }) : NONE;
  }

  #proposal(proposal: Proposal, isValid: boolean): RoundOutput {
    if (proposal.proposer !== this.#parts.proposerOf(proposal.round)) return NONE;
    if (!isValid) return this.#invalidProposal(proposal);
    const known = this.proposals(proposal.round);
    const isKnown = known.some(
      ({ valueId, validRound }) =>
        valueId === proposal.valueId && validRound === proposal.validRound,
    );
    if (!isKnown) {
      const isWanted = this.keeper.hasQuorum(proposal.round, "prevote", proposal.valueId);
      if (known.length >= PROPOSALS_OF_ROUND_MAX && !isWanted) return NONE;
      this.#proposals.set(proposal.round, [...known, proposal]);
    }
    return this.#consider(proposal);
  }

  #invalidProposal({ round, valueId, validRound }: Proposal): RoundOutput {
    if (this.#state.step !== "propose" || this.#state.round !== round) return NONE;
    return this.keeper.hasQuorum(validRound, "prevote", valueId)
      ? this.#call({ kind: "invalid-proposal-with-earlier-polka", valueId })
      : this.#call({ kind: "invalid-proposal" });
  }

  /** The rules that want a proposal. */
  #consider({ round, valueId, validRound }: Proposal): RoundOutput {
    const { keeper } = this;
    if (keeper.hasQuorum(round, "precommit", valueId))
      return this.#call({ kind: "proposal-with-commit", round, valueId });
    if (this.#state.round !== round) return NONE;
    const { step } = this.#state;
    if (step === "propose") {
      if (validRound === NO_ROUND) return this.#call({ kind: "proposal", round, valueId });
      return keeper.hasQuorum(validRound, "prevote", valueId)
        ? this.#call({ kind: "proposal-with-earlier-polka", valueId, validRound })
        : NONE;
    }
    const isVoting = step === "prevote" || step === "precommit";
    return isVoting && keeper.hasQuorum(round, "prevote", valueId)
      ? this.#call({ kind: "proposal-with-polka", valueId })
      : NONE;
  }

  /** Messages that came too early for the step before may be what the new one waits for. */
  #stepChange(): RoundOutput {
    const { round, step } = this.#state;
    if (this.keeper.hasQuorumOfAny(round, "precommit")) this.#defer({ kind: "precommit-any" });
    for (const proposal of this.proposals(round)) {
      const output = this.#consider(proposal);
      if (output.kind !== "none") return output;
    }
    if (step !== "prevote" || this.#state.step !== step) return NONE;
    if (this.keeper.hasQuorum(round, "prevote", null)) return this.#call({ kind: "polka-nil" });
    return this.keeper.hasQuorumOfAny(round, "prevote") ? this.#call({ kind: "polka-any" }) : NONE;
  }

  #takePending(): RoundOutput {
    const [first, ...rest] = this.#pending;
    this.#pending = rest;
    return first !== undefined && first.round === this.#state.round
      ? this.#call(first.input)
      : NONE;
  }

  #defer(input: RoundInput): void {
    const { round } = this.#state;
    const key = executedKey(input, round, "new");
    if (this.#pending.some((one) => executedKey(one.input, one.round, "new") === key)) return;
    this.#pending.push({ input, round });
  }

  /** Drops what was said in the rounds before, but for the round of the valid value: its polka may be asked for. */
  forgetBefore(round: number): void {
    this.keeper.forgetBefore(round, this.#state.validRound);
    for (const at of this.#proposals.keys()) if (at < round) this.#proposals.delete(at);
  }

  /** What was done in an earlier round is not asked for again. */
  #forget(): void {
    const suffix = `@${this.#state.round}`;
    for (const key of this.#executed) if (!key.endsWith(suffix)) this.#executed.delete(key);
  }
}

/** Two machine inputs are the same when their keys are. @param step at which it was an input */
export function executedKey(input: RoundInput, round: number, step: Step): string {
  const about = Object.values(input).join("/");
  return `${about}#${step}@${round}`;
}
