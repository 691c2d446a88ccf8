import type { Hasher } from "../../platform/hasher.ts";
import type { PeerId } from "../../platform/signer.ts";
import type { RoundPace } from "./options.ts";
import { keyOf, rank } from "./rank.ts";

/** Of each 4 that a round takes, 5 are asked: some always fall out (Bonawitz et al., "Towards Federated Learning at Scale", 2019). */
const SPARE = 1.25;
/** Of a key so many hexadecimal digits tell where it lies: all that a double holds. */
const DIGITS = 13;
const PLACES = 16 ** DIGITS;
/** Agents of which it is remembered where their keys lie: more than a round takes. */
const KEPT_MAX = 4_096;

/**
 * Who trains in a round, where there are more trainers than it takes: the first by rank, and twice as many after each deadline, so that no round is
 * lost to a sample of which nobody answers. Whoever knows but a part of the fleet can not tell ranks; there those train whose keys lie in the
 * share of all keys that is the share of the fleet to be asked, so that no two agents have to know the same others.
 */
export class Sample {
  readonly #hasher: Hasher;
  readonly #task: string;
  readonly #pace: RoundPace;
  #given: readonly PeerId[] = [];
  #trainers: ReadonlySet<PeerId> = new Set();
  #inFleet = 0;
  /** Of this round: ranks, and where keys lie, as far as they were asked for. */
  #round = -1;
  #ranks: ReadonlyMap<PeerId, number> | undefined;
  readonly #places = new Map<PeerId, number>();

  constructor(hasher: Hasher, task: string, pace: RoundPace) {
    this.#hasher = hasher;
    this.#task = task;
    this.#pace = pace;
  }

  /**
   * @param trainers everybody who could, as far as is known; with nobody all are asked
   * @param inFleet how many there are, where that is more than are known
   */
  set(trainers: readonly PeerId[], inFleet = 0): void {
    this.#inFleet = Math.max(inFleet, trainers.length);
    if (trainers === this.#given) return;
    this.#given = trainers;
    const isSame =
      trainers.length === this.#trainers.size && trainers.every((peer) => this.#trainers.has(peer));
    if (isSame) return;
    this.#trainers = new Set(trainers);
    this.#ranks = undefined;
  }

  /** How many are asked at first. */
  get crowd(): number {
    return Math.min(this.#inFleet, this.#asked(0));
  }

  /** @returns where an agent's key lies in a round, from 0 up to 1: as good as random, and the same for everybody */
  placeOf(peer: PeerId, round: number): number {
    this.#goOn(round);
    return this.#placeOf(peer, round);
  }

  /** @param elapsedMs since the head before that round is known */
  isAsked(peer: PeerId, round: number, elapsedMs: number): boolean {
    if (!this.isPartial(elapsedMs)) return true;
    this.#goOn(round);
    const asked = this.#asked(elapsedMs);
    if (this.#inFleet > this.#trainers.size)
      return this.#placeOf(peer, round) < asked / this.#inFleet;
    return (this.#ranksIn(round).get(peer) ?? 0) < asked;
  }

  /** Not all are asked yet: more are with the next deadline. */
  isPartial(elapsedMs: number): boolean {
    return this.#inFleet > this.#asked(elapsedMs);
  }

  #goOn(round: number): void {
    if (this.#round === round) return;
    this.#round = round;
    this.#ranks = undefined;
    this.#places.clear();
  }

  #asked(elapsedMs: number): number {
    const { agentsMax, deadlineMs } = this.#pace;
    return Math.ceil(agentsMax * SPARE) * 2 ** Math.floor(elapsedMs / deadlineMs);
  }

  #ranksIn(round: number): ReadonlyMap<PeerId, number> {
    if (this.#ranks === undefined) {
      const order = rank(this.#hasher, { task: this.#task, round }, this.#trainers);
      this.#ranks = new Map(order.map((peer, at) => [peer, at]));
    }
    return this.#ranks;
  }

  /** From 0 up to 1. */
  #placeOf(peer: PeerId, round: number): number {
    let place = this.#places.get(peer);
    if (place === undefined) {
      const key = keyOf(this.#hasher, { task: this.#task, round }, peer);
      place = Number.parseInt(key.slice(0, DIGITS), 16) / PLACES;
      if (this.#places.size >= KEPT_MAX) this.#places.clear();
      this.#places.set(peer, place);
    }
    return place;
  }
}
