import { drawSome } from "../../platform/draw-some.ts";
import type { Random } from "../../platform/random.ts";
import type { PeerId } from "../../platform/signer.ts";

/** Neighbours, and when each is to be probed next. */
export class ProbeTurns {
  readonly #random: Random;
  readonly #dueAtMs = new Map<PeerId, number>();
  #nextAtMs = Number.POSITIVE_INFINITY;

  constructor(random: Random) {
    this.#random = random;
  }

  get size(): number {
    return this.#dueAtMs.size;
  }

  /** When the first of them is due. */
  get nextAtMs(): number {
    return this.#nextAtMs;
  }

  has(peer: PeerId): boolean {
    return this.#dueAtMs.has(peer);
  }

  /** The neighbour, new or not, is due then. */
  set(peer: PeerId, atMs: number): void {
    // A whole number takes no object of its own.
    const dueAtMs = Math.round(atMs);
    const wasFirst = this.#dueAtMs.get(peer) === this.#nextAtMs;
    this.#dueAtMs.set(peer, dueAtMs);
    if (wasFirst) this.#nextAtMs = Math.min(...this.#dueAtMs.values());
    else if (dueAtMs < this.#nextAtMs) this.#nextAtMs = dueAtMs;
  }

  remove(peer: PeerId): void {
    this.#dueAtMs.delete(peer);
    this.#nextAtMs = Math.min(...this.#dueAtMs.values());
  }

  /** Nobody waits longer than for that, one after the other. */
  spread(nowMs: number, withinMs: number): void {
    let turn = 0;
    for (const [peer, dueAtMs] of this.#dueAtMs) {
      const latestMs = nowMs + (withinMs * ++turn) / this.#dueAtMs.size;
      if (latestMs < dueAtMs) this.set(peer, latestMs);
    }
  }

  /** @returns those whose turn it is; whoever takes them sets the next one of each */
  due(nowMs: number): readonly PeerId[] {
    if (this.#nextAtMs > nowMs) return [];
    return [...this.#dueAtMs].filter(([, dueAtMs]) => dueAtMs <= nowMs).map(([peer]) => peer);
  }

  /** @returns up to `count` different neighbours, drawn at random */
  draw(count: number, without?: PeerId): PeerId[] {
    const peers = [...this.#dueAtMs.keys()].filter((peer) => peer !== without);
    return drawSome(peers, count, this.#random);
  }
}
