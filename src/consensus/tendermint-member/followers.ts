import type { PeerId } from "../../platform/signer.ts";

const FOLLOWERS_MAX = 64;
/** Who holds a ticket is forgotten when it says nothing for so long. */
const KEPT_MS = 600_000;

interface Follower {
  readonly ticketId: string;
  readonly height: number;
  readonly heardAtMs: number;
}

/** Peers that hold a ticket and follow what is decided, to be added. Bounded: who was silent longest is forgotten first. */
export class Followers {
  readonly #known = new Map<PeerId, Follower>();

  /** It has said how far it is. */
  heard(peer: PeerId, ticketId: string, height: number, nowMs: number): void {
    this.#known.delete(peer);
    this.#known.set(peer, { ticketId, height, heardAtMs: nowMs });
    for (const [oldest, { heardAtMs }] of this.#known) {
      if (this.#known.size <= FOLLOWERS_MAX && nowMs - heardAtMs < KEPT_MS) break;
      this.#known.delete(oldest);
    }
  }

  has(peer: PeerId): boolean {
    return this.#known.has(peer);
  }

  /** @returns how far it is with that ticket; undefined for who was not heard since then */
  heightOf(peer: PeerId, ticketId: string, sinceMs: number): number | undefined {
    const known = this.#known.get(peer);
    if (known?.ticketId !== ticketId || known.heardAtMs < sinceMs) return undefined;
    return known.height;
  }

  /** All of them, sorted. */
  all(): PeerId[] {
    return [...this.#known.keys()].sort();
  }

  /** It is a member now, or gone. */
  forget(peer: PeerId): void {
    this.#known.delete(peer);
  }
}
