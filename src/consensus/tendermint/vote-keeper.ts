import type { PeerId } from "../../platform/signer.ts";
import type { ValidatorSet } from "./validators.ts";
import type { ValueId, Vote, VoteKind } from "./vote.ts";
import { type CountOutcome, VoteCount } from "./vote-count.ts";

/** What the votes of a round amount to, told once each; `skip` is told with every vote from a later round. */
export type Tally =
  | { readonly kind: "polka-any" | "polka-nil" | "precommit-any" | "skip"; readonly round: number }
  | {
      readonly kind: "polka-value" | "precommit-value";
      readonly round: number;
      readonly valueId: ValueId;
    };

/** The votes of one round. */
export interface RoundVotes<V extends Vote> {
  readonly prevote: VoteCount<V>;
  readonly precommit: VoteCount<V>;
  /** Who voted at all, and the power of all these. */
  readonly voters: ReadonlySet<PeerId>;
  readonly votersPower: number;
  /** What was told of the round, by {@link tallyKey}. */
  readonly told: ReadonlySet<string>;
}

/** What became of a vote. */
export interface KeptVote<V extends Vote> {
  readonly outcome: CountOutcome;
  readonly tally: Tally | undefined;
  /** What the maker said before, when this vote contradicts it. */
  readonly contradicts?: V;
}

interface Round<V extends Vote> extends RoundVotes<V> {
  readonly voters: Set<PeerId>;
  votersPower: number;
  readonly told: Set<string>;
}

/** Two tallies are the same when their keys are. */
export function tallyKey(tally: Tally): string {
  return "valueId" in tally ? `${tally.kind}/${tally.valueId}` : tally.kind;
}

/**
 * Keeps the votes of one height and tells when they reach a threshold. What it keeps is bounded: of each validator two
 * votes of a kind in a round, a number of rounds ahead of the current one, and the rounds that the caller does not
 * {@link VoteKeeper.forgetBefore}. Votes are taken as they are: signatures and membership are for the caller to check.
 */
export class VoteKeeper<V extends Vote> {
  readonly #validators: ValidatorSet;
  readonly #roundsAheadMax: number;
  readonly #rounds = new Map<number, Round<V>>();
  /** The later rounds in which a validator voted, ascending. */
  readonly #ahead = new Map<PeerId, number[]>();

  /** @param roundsAheadMax of one validator, rounds after the current one in which its votes are kept: its latest */
  constructor(validators: ValidatorSet, roundsAheadMax: number) {
    this.#validators = validators;
    this.#roundsAheadMax = roundsAheadMax;
  }

  /** The rounds that have votes. */
  rounds(): ReadonlyMap<number, RoundVotes<V>> {
    return this.#rounds;
  }

  /** @returns undefined when nobody voted in the round */
  count(round: number, kind: VoteKind): VoteCount<V> | undefined {
    return this.#rounds.get(round)?.[kind];
  }

  /** More than 2/3 for one value, or for nil. */
  hasQuorum(round: number, kind: VoteKind, valueId: ValueId | null): boolean {
    return this.#validators.isQuorum(this.count(round, kind)?.weightOf(valueId) ?? 0);
  }

  /** More than 2/3, whatever for. */
  hasQuorumOfAny(round: number, kind: VoteKind): boolean {
    return this.#validators.isQuorum(this.count(round, kind)?.weight ?? 0);
  }

  /** @param currentRound a vote of a later one can be a reason to skip to it */
  add(vote: V, currentRound: number): KeptVote<V> {
    const { kind, validator } = vote;
    const power = this.#validators.powerOf(validator);
    if (vote.round > currentRound && !this.#makeRoom(validator, vote.round, currentRound))
      return { outcome: "surplus", tally: undefined };
    const round = this.#roundOf(vote.round);
    const count = round[kind];
    const before = count.voteOf(validator);
    const outcome = count.add(vote, power);
    if (!round.voters.has(validator)) {
      round.voters.add(validator);
      round.votersPower += power;
    }
    const tally = this.#tell(vote, round, currentRound);
    return outcome === "conflicting" && before !== undefined
      ? { outcome, tally, contradicts: before }
      : { outcome, tally };
  }

  /**
   * Takes votes that make a quorum for one value.
   * @returns the votes that contradict earlier ones, in pairs; undefined when the votes are no such quorum: then none is
   *   taken
   */
  addCertificate(
    votes: readonly V[],
  ): { readonly tally: Tally; readonly contradictions: readonly (readonly [V, V])[] } | undefined {
    const [first] = votes;
    if (first === undefined || first.valueId === null || !this.#isCertificate(votes, first))
      return undefined;
    const { kind, valueId } = first;
    const count = this.#roundOf(first.round)[kind];
    const contradictions: (readonly [V, V])[] = [];
    for (const vote of votes) {
      const before = count.voteOf(vote.validator);
      if (
        count.addCertified(vote, this.#validators.powerOf(vote.validator)) === "conflicting" &&
        before
      )
        contradictions.push([before, vote]);
    }
    const tally: Tally = {
      kind: kind === "prevote" ? "polka-value" : "precommit-value",
      round: first.round,
      valueId,
    };
    return { tally, contradictions };
  }

  /** The votes behind a quorum for one value. @returns undefined when there is none */
  certificate(round: number, kind: VoteKind, valueId: ValueId): V[] | undefined {
    return this.hasQuorum(round, kind, valueId)
      ? this.count(round, kind)?.votesFor(valueId)
      : undefined;
  }

  /** Drops the votes of the rounds before, but for one round. */
  forgetBefore(round: number, kept: number): void {
    for (const at of this.#rounds.keys()) if (at < round && at !== kept) this.#rounds.delete(at);
  }

  #isCertificate(votes: readonly V[], first: V): boolean {
    const voters = new Set<PeerId>();
    let power = 0;
    for (const vote of votes) {
      if (vote.kind !== first.kind || vote.height !== first.height) return false;
      if (vote.round !== first.round || vote.valueId !== first.valueId) return false;
      if (voters.has(vote.validator)) return false;
      voters.add(vote.validator);
      power += this.#validators.powerOf(vote.validator);
    }
    return this.#validators.isQuorum(power);
  }

  #roundOf(at: number): Round<V> {
    const known = this.#rounds.get(at);
    if (known !== undefined) return known;
    const round: Round<V> = {
      prevote: new VoteCount(),
      precommit: new VoteCount(),
      voters: new Set(),
      votersPower: 0,
      told: new Set(),
    };
    this.#rounds.set(at, round);
    return round;
  }

  /**
   * A validator that goes on alone must not fill the memory, and yet be followed to where it is.
   * @returns false for a round before all those of the validator that are kept
   */
  #makeRoom(validator: PeerId, round: number, currentRound: number): boolean {
    const ahead = this.#ahead.get(validator)?.filter((at) => at > currentRound) ?? [];
    this.#ahead.set(validator, ahead);
    if (ahead.includes(round)) return true;
    const [lowest] = ahead;
    if (lowest !== undefined && ahead.length >= this.#roundsAheadMax) {
      if (round < lowest) return false;
      ahead.shift();
      this.#withdraw(validator, lowest);
    }
    ahead.push(round);
    ahead.sort((one, other) => one - other);
    return true;
  }

  #withdraw(validator: PeerId, at: number): void {
    const round = this.#rounds.get(at);
    if (round === undefined || !round.voters.delete(validator)) return;
    const power = this.#validators.powerOf(validator);
    round.votersPower -= power;
    round.prevote.remove(validator, power);
    round.precommit.remove(validator, power);
    if (round.voters.size === 0) this.#rounds.delete(at);
  }

  #tell(vote: V, round: Round<V>, currentRound: number): Tally | undefined {
    const tally: Tally | undefined =
      vote.round > currentRound && this.#validators.hasHonest(round.votersPower)
        ? { kind: "skip", round: vote.round }
        : this.#reached(vote, round[vote.kind]);
    if (tally === undefined) return undefined;
    const key = tallyKey(tally);
    if (round.told.has(key) && tally.kind !== "skip") return undefined;
    round.told.add(key);
    return tally;
  }

  #reached({ kind, round, valueId }: V, count: VoteCount<V>): Tally | undefined {
    if (this.#validators.isQuorum(count.weightOf(valueId))) {
      if (valueId === null)
        return { kind: kind === "prevote" ? "polka-nil" : "precommit-any", round };
      return { kind: kind === "prevote" ? "polka-value" : "precommit-value", round, valueId };
    }
    if (!this.#validators.isQuorum(count.weight)) return undefined;
    return { kind: kind === "prevote" ? "polka-any" : "precommit-any", round };
  }
}
