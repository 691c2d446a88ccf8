import type { PeerId } from "../../platform/signer.ts";
import type { Deposit } from "./deposit.ts";
import type { MergeOutcome, PheromoneMap } from "./pheromone-map.ts";

/** Deposits in one message. */
export const DEPOSITS_PER_MESSAGE_MAX = 256;
const FAULTS: ReadonlySet<MergeOutcome> = new Set<MergeOutcome>([
  "malformed-deposit",
  "not-a-member",
  "from-the-future",
  "too-strong",
]);

/** What a neighbour has not been told yet, or not acknowledged. */
export interface TrailNews {
  readonly deposits: readonly Deposit[];
  /** To be acknowledged with this number. */
  readonly through: number;
}

/** What came of a neighbour's news. */
export interface NewsTaken {
  /** Deposits that were new here. */
  readonly newCount: number;
  /** The first thing that was wrong with them, to be held against the neighbour. */
  readonly fault: MergeOutcome | "too-many-deposits" | undefined;
}

/**
 * Spreads a map of trails over kept links: each neighbour is sent what changed since the number that it last acknowledged.
 * Lost messages are sent again with the next round, doubled ones change nothing.
 */
export class TrailGossip {
  readonly #map: PheromoneMap;
  readonly #told = new Map<PeerId, number>();

  constructor(map: PheromoneMap) {
    this.#map = map;
  }

  /** A neighbour was linked: it is told everything, since it may have begun anew. */
  linkUp(peer: PeerId): void {
    this.#told.set(peer, 0);
  }

  linkDown(peer: PeerId): void {
    this.#told.delete(peer);
  }

  /** @returns what to send to a neighbour; undefined when there is nothing to tell, or no link */
  newsFor(peer: PeerId): TrailNews | undefined {
    const told = this.#told.get(peer);
    if (told === undefined || told === this.#map.version) return undefined;
    const news = this.#map.changesSince(told, DEPOSITS_PER_MESSAGE_MAX);
    if (news.deposits.length > 0) return news;
    this.#told.set(peer, news.through);
    return undefined;
  }

  /** A neighbour has taken what it was sent. What was never sent is ignored. */
  acknowledged(peer: PeerId, through: number): void {
    const told = this.#told.get(peer);
    if (told !== undefined && through > told && through <= this.#map.version)
      this.#told.set(peer, through);
  }

  /** Takes a neighbour's news. Never throws. */
  take(deposits: readonly unknown[], tick: number): NewsTaken {
    if (deposits.length > DEPOSITS_PER_MESSAGE_MAX)
      return { newCount: 0, fault: "too-many-deposits" };
    let newCount = 0;
    let fault: MergeOutcome | undefined;
    for (const deposit of deposits) {
      const outcome = this.#map.merge(deposit, tick);
      if (outcome === "news") newCount++;
      else if (FAULTS.has(outcome)) fault ??= outcome;
    }
    return { newCount, fault };
  }
}
