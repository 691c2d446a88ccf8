import type { PeerId } from "../../platform/signer.ts";
import { PEERS_MAX } from "./limits.ts";

/**
 * What an agent did wrong in a round. `equivocation`: two words on one base; `silence`: its update, or its sheet, could not be had;
 * `wrong-bytes`: what was had is not what it named, or is no update; `free-riding`: another's update, or nothing, as its own;
 * `false-record`: it put a round together otherwise than its sheet says.
 */
export type Misdeed = "equivocation" | "silence" | "wrong-bytes" | "free-riding" | "false-record";

/** What is left of a reputation. */
const FACTORS: Readonly<Record<Misdeed, number>> = {
  equivocation: 0.5,
  "false-record": 0.5,
  "wrong-bytes": 0.5,
  "free-riding": 0.8,
  silence: 0.8,
};

/** What is left of one agent's reputation: above 0, below 1. */
export interface ReputationScore {
  readonly peer: PeerId;
  readonly score: number;
}

/** Below this an agent's words and records are not taken. */
export const REPUTATION_LEAST = 0.3;
/** What a round in which an update was counted gives back. */
const GOOD_ROUND = 0.1;
/** What any round gives back, also to those who are not heard any more. */
const ANY_ROUND = 0.02;
/** What a deadline gives back in which no round came about: the fleet needs everybody then, and a bad network makes liars of the honest. */
const OVERDUE = 0.1;

/**
 * What one agent holds of others in one task: 1 for whoever is not known, less after each misdeed, and more again with each round.
 * Nothing is taken from hearsay but what proves itself. When the table is full, who was in it longest is forgotten.
 */
export class Reputation {
  /** Those below 1 only. */
  readonly #scores = new Map<PeerId, number>();
  #lastRound = 0;
  #lastCounted = 0;
  #overdueRound = 0;
  #overdue = 0;
  #changes = 0;

  /** @param kept from before a restart; what is no score is left out */
  constructor(kept: Iterable<ReputationScore> = []) {
    for (const { peer, score } of kept)
      if (score > 0 && score < 1 && this.#scores.size < PEERS_MAX) this.#scores.set(peer, score);
  }

  /** Another number after each change. */
  get version(): number {
    return this.#changes;
  }

  /** Above 0, at most 1. */
  of(peer: PeerId): number {
    return this.#scores.get(peer) ?? 1;
  }

  /** @returns whether what it says is taken */
  isTrusted(peer: PeerId): boolean {
    return this.of(peer) >= REPUTATION_LEAST;
  }

  /** Takes a misdeed into account, once for each call. */
  blame(peer: PeerId, misdeed: Misdeed): void {
    this.#changes++;
    const score = this.of(peer) * FACTORS[misdeed];
    this.#scores.delete(peer);
    this.#scores.set(peer, Math.max(score, Number.MIN_VALUE));
    if (this.#scores.size <= PEERS_MAX) return;
    for (const oldest of this.#scores.keys()) {
      this.#scores.delete(oldest);
      return;
    }
  }

  /** A round is over, the first time that somebody says so: the way back for all. */
  roundEnded(round: number): void {
    if (round <= this.#lastRound) return;
    this.#lastRound = round;
    for (const peer of this.#scores.keys()) this.#raise(peer, ANY_ROUND);
  }

  /**
   * A round is overdue, the first time that somebody says so.
   * @param deadlines that are over since its head is known
   */
  roundOverdue(round: number, deadlines: number): void {
    if (round !== this.#overdueRound) this.#overdue = 0;
    this.#overdueRound = round;
    // The first deadline is nothing special.
    const more = deadlines - Math.max(this.#overdue, 1);
    if (more <= 0) return;
    this.#overdue = deadlines;
    for (const peer of this.#scores.keys()) this.#raise(peer, more * OVERDUE);
  }

  /** Whose updates went into a round, the first time that somebody says so. */
  counted(round: number, words: Iterable<{ readonly trainer: PeerId }>): void {
    if (round <= this.#lastCounted) return;
    this.#lastCounted = round;
    for (const { trainer } of words) this.#raise(trainer, GOOD_ROUND);
  }

  /** Everybody below 1. */
  all(): readonly ReputationScore[] {
    return Array.from(this.#scores, ([peer, score]) => ({ peer, score }));
  }

  #raise(peer: PeerId, by: number): void {
    const score = this.#scores.get(peer);
    if (score === undefined) return;
    this.#changes++;
    if (score + by >= 1) this.#scores.delete(peer);
    else this.#scores.set(peer, score + by);
  }
}
