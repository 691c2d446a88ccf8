import type { Hasher } from "../../platform/hasher.ts";
import type { PeerId } from "../../platform/signer.ts";
import type { RoundPace } from "./options.ts";
import { rank } from "./rank.ts";

/** Of each 4 that a round takes, 5 are asked: some always fall out (Bonawitz et al., "Towards Federated Learning at Scale", 2019). */
const SPARE = 1.25;

/**
 * Who trains in a round, where there are more trainers than it takes: the first by rank, and twice as many after each deadline, so that no round is
 * lost to a sample of which nobody answers.
 */
export class Sample {
  readonly #hasher: Hasher;
  readonly #task: string;
  readonly #pace: RoundPace;
  #trainers: ReadonlySet<PeerId> = new Set();
  #places: { readonly round: number; readonly of: ReadonlyMap<PeerId, number> } | undefined;

  constructor(hasher: Hasher, task: string, pace: RoundPace) {
    this.#hasher = hasher;
    this.#task = task;
    this.#pace = pace;
  }

  /** @param trainers everybody who could, as far as is known; with nobody all are asked */
  set(trainers: readonly PeerId[]): void {
    const isSame =
      trainers.length === this.#trainers.size && trainers.every((peer) => this.#trainers.has(peer));
    if (isSame) return;
    this.#trainers = new Set(trainers);
    this.#places = undefined;
  }

  /** @param elapsedMs since the head before that round is known */
  isAsked(peer: PeerId, round: number, elapsedMs: number): boolean {
    if (!this.isPartial(elapsedMs)) return true;
    return (this.#placesIn(round).get(peer) ?? 0) < this.#asked(elapsedMs);
  }

  /** Not all are asked yet: more are with the next deadline. */
  isPartial(elapsedMs: number): boolean {
    return this.#trainers.size > this.#asked(elapsedMs);
  }

  #asked(elapsedMs: number): number {
    const { agentsMax, deadlineMs } = this.#pace;
    return Math.ceil(agentsMax * SPARE) * 2 ** Math.floor(elapsedMs / deadlineMs);
  }

  #placesIn(round: number): ReadonlyMap<PeerId, number> {
    if (this.#places?.round !== round) {
      const order = rank(this.#hasher, { task: this.#task, round }, this.#trainers);
      this.#places = { round, of: new Map(order.map((peer, at) => [peer, at])) };
    }
    return this.#places.of;
  }
}
