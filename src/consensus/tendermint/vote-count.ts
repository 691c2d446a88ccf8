import type { PeerId } from "../../platform/signer.ts";
import type { ValueId, Vote } from "./vote.ts";

/**
 * What became of a vote. `counted`: it weighs now; `known`: that very vote was here; `conflicting`: its maker said something
 * else before, it is kept but weighs nothing; `surplus`: a third one, not kept.
 */
export type CountOutcome = "counted" | "known" | "conflicting" | "surplus";

interface Ballots<V extends Vote> {
  readonly first: V;
  second?: V;
  /** A certificate had the second one in it. */
  isSecondCounted: boolean;
}

/** The votes of one kind in one round, at most two of a validator. */
export class VoteCount<V extends Vote> {
  readonly #ballots = new Map<PeerId, Ballots<V>>();
  readonly #weights = new Map<ValueId | null, number>();
  #weight = 0;

  /** Power of all that voted, whatever for. */
  get weight(): number {
    return this.#weight;
  }

  /** Power behind one value, or behind nil. */
  weightOf(valueId: ValueId | null): number {
    return this.#weights.get(valueId) ?? 0;
  }

  /** Power by value. */
  weights(): ReadonlyMap<ValueId | null, number> {
    return this.#weights;
  }

  /** The value that a validator's first vote was for; undefined when there is none. */
  voteOf(validator: PeerId): V | undefined {
    return this.#ballots.get(validator)?.first;
  }

  /** Nothing that its maker says can change anything here any more, or not this vote. */
  isSettled(vote: V): boolean {
    const ballots = this.#ballots.get(vote.validator);
    return (
      ballots !== undefined &&
      (ballots.first.valueId === vote.valueId || ballots.second !== undefined)
    );
  }

  /** All votes that are kept, those that weigh nothing included. */
  *votes(): Iterable<V> {
    for (const { first, second } of this.#ballots.values()) {
      yield first;
      if (second !== undefined) yield second;
    }
  }

  /** The votes that weigh for one value. */
  votesFor(valueId: ValueId | null): V[] {
    const found: V[] = [];
    for (const { first, second, isSecondCounted } of this.#ballots.values()) {
      if (first.valueId === valueId) found.push(first);
      else if (isSecondCounted && second?.valueId === valueId) found.push(second);
    }
    return found;
  }

  add(vote: V, power: number): CountOutcome {
    const ballots = this.#ballots.get(vote.validator);
    if (ballots === undefined) {
      this.#ballots.set(vote.validator, { first: vote, isSecondCounted: false });
      this.#weight += power;
      this.#weigh(vote.valueId, power);
      return "counted";
    }
    if (ballots.first.valueId === vote.valueId || ballots.second?.valueId === vote.valueId)
      return "known";
    if (ballots.second !== undefined) return "surplus";
    ballots.second = vote;
    return "conflicting";
  }

  /**
   * A vote out of a certificate: it weighs even when its maker had said something else here, for others counted it, and
   * more than 2/3 stand behind the whole.
   */
  addCertified(vote: V, power: number): CountOutcome {
    const outcome = this.add(vote, power);
    const ballots = this.#ballots.get(vote.validator);
    if (outcome === "counted" || ballots === undefined || ballots.first.valueId === vote.valueId)
      return outcome;
    if (ballots.isSecondCounted) return outcome;
    ballots.second = vote;
    ballots.isSecondCounted = true;
    this.#weigh(vote.valueId, power);
    return outcome;
  }

  /** Forgets what one validator said. */
  remove(validator: PeerId, power: number): void {
    const ballots = this.#ballots.get(validator);
    if (ballots === undefined) return;
    this.#ballots.delete(validator);
    this.#weight -= power;
    this.#weigh(ballots.first.valueId, -power);
    if (ballots.isSecondCounted && ballots.second !== undefined)
      this.#weigh(ballots.second.valueId, -power);
  }

  #weigh(valueId: ValueId | null, power: number): void {
    const weight = this.weightOf(valueId) + power;
    if (weight === 0) this.#weights.delete(valueId);
    else this.#weights.set(valueId, weight);
  }
}
