import type { PeerId } from "../../platform/signer.ts";

/** More at once than a network's hiccup explains: what comes on top of them is suspected without delay. */
const BROKEN_MAX = 64;

/**
 * Neighbours whose link has just ended without a word. Radios lose links while both ends are well, and whoever opened the
 * link dials at once: only one that is not linked again in time is suspected, or a large fleet would hear of little else.
 */
export class BrokenLinks {
  readonly #dueAtMs = new Map<PeerId, number>();

  /** When the first of them has had its time, or infinity. */
  get nextAtMs(): number {
    let nextAtMs = Number.POSITIVE_INFINITY;
    for (const dueAtMs of this.#dueAtMs.values()) nextAtMs = Math.min(nextAtMs, dueAtMs);
    return nextAtMs;
  }

  /** @returns false where there is no room to wait for it */
  add(peer: PeerId, dueAtMs: number): boolean {
    if (this.#dueAtMs.size >= BROKEN_MAX && !this.#dueAtMs.has(peer)) return false;
    this.#dueAtMs.set(peer, dueAtMs);
    return true;
  }

  /** It is linked again, or suspected. @returns whether it was waited for */
  delete(peer: PeerId): boolean {
    return this.#dueAtMs.delete(peer);
  }

  /** Takes those out that did not come back in time. */
  takeDue(nowMs: number): PeerId[] {
    const due: PeerId[] = [];
    for (const [peer, dueAtMs] of this.#dueAtMs) if (dueAtMs <= nowMs) due.push(peer);
    for (const peer of due) this.#dueAtMs.delete(peer);
    return due;
  }

  /** This agent itself was not there to be linked to: all of them get their time anew. */
  restart(dueAtMs: number): void {
    for (const peer of this.#dueAtMs.keys()) this.#dueAtMs.set(peer, dueAtMs);
  }
}
