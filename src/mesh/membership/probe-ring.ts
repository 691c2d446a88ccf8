import type { Random } from "../../platform/random.ts";
import type { PeerId } from "../../platform/signer.ts";

/**
 * Neighbours in shuffled order, shuffled anew after each round, newcomers put in at random: so the time until a certain
 * one comes round is bounded by two rounds (SWIM, section 4.3).
 */
export class ProbeRing {
  readonly #random: Random;
  readonly #members = new Set<PeerId>();
  #order: PeerId[] = [];
  #at = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  get size(): number {
    return this.#members.size;
  }

  has(peer: PeerId): boolean {
    return this.#members.has(peer);
  }

  add(peer: PeerId): void {
    if (this.#members.has(peer)) return;
    this.#members.add(peer);
    const left = this.#order.length - this.#at;
    this.#order.splice(this.#at + Math.floor(this.#random.next() * (left + 1)), 0, peer);
  }

  remove(peer: PeerId): void {
    this.#members.delete(peer);
    const at = this.#order.indexOf(peer, this.#at);
    if (at >= 0) this.#order.splice(at, 1);
  }

  /** @returns whose turn it is; undefined when there is nobody */
  next(): PeerId | undefined {
    if (this.#at >= this.#order.length) {
      this.#order = this.draw(this.#members.size);
      this.#at = 0;
    }
    return this.#order[this.#at++];
  }

  /** @returns up to `count` different ones, drawn at random */
  draw(count: number, without?: PeerId): PeerId[] {
    const peers = [...this.#members].filter((peer) => peer !== without);
    const drawn = Math.min(count, peers.length);
    for (let at = 0; at < drawn; at++) {
      const other = at + Math.floor(this.#random.next() * (peers.length - at));
      const [a, b] = [peers[at], peers[other]];
      if (a === undefined || b === undefined) break;
      peers[at] = b;
      peers[other] = a;
    }
    return peers.slice(0, drawn);
  }
}
