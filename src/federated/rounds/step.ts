import type { PeerId } from "../../platform/signer.ts";
import type { TrainerWord } from "./trainer-word.ts";
import { weightOf } from "./trainer-word.ts";

/** What a machine of the rounds wants after an input. The caller performs the effects in their order. */
export interface Step<Effect> {
  readonly effects: readonly Effect[];
  /** When a `tick` is due, unless something else comes first; infinity for never. */
  readonly nextTickAtMs: number;
}

/** One update as an aggregate is made of it; its bytes are held under the hash. */
export interface Counted {
  readonly peer: PeerId;
  readonly updateHash: string;
  readonly weight: number;
  readonly loss: number;
}

/** Something is to be had by its hash, from any of these. One that is held already is had at once. */
export interface FetchEffect {
  readonly kind: "fetch";
  readonly what: "update" | "sheet";
  readonly hash: string;
  /** Of a sheet the most that it may have, of an update what its word says. */
  readonly bytesMax: number;
  /** Best first; never this agent itself. */
  readonly holders: readonly PeerId[];
}

/** All that a machine needs to have by its hash from now on; what it named before and does not name now may go. */
export interface HoldEffect {
  readonly kind: "hold";
  /** Updates, and sheets: in memory. */
  readonly hashes: readonly string[];
  /** Sheets that have to outlast a restart, in asynchronous rounds: without them nobody can tell what was counted. */
  readonly durable: readonly string[];
}

/** @returns the updates as they go into the aggregate of a round */
export function countedOf(words: readonly TrainerWord[], round: number): readonly Counted[] {
  return words.map((word) => ({
    peer: word.trainer,
    updateHash: word.updateHash,
    weight: weightOf(word, round),
    loss: word.loss,
  }));
}

/** @returns how long to wait after so many failures: twice as long each time, at most 64 times as long */
export function pauseAfter(failures: number, firstMs: number): number {
  return firstMs * 2 ** Math.min(Math.max(failures, 1) - 1, 6);
}
