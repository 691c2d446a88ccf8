import type { PeerId } from "../platform/signer.ts";
import { putNewest } from "./bounded.ts";

const STAY_MS = 20_000;
const RETRY_AFTER_MS = 60_000;
const GUESTS_MAX = 16;
const REMEMBERED_MAX = 256;

/**
 * Peers without a grant that may come in for a moment to show one. Few at a time; one that showed none has to stay
 * away for a while. Pure: time comes in as monotonic milliseconds.
 */
export class Guests {
  /** When each came; oldest first. */
  readonly #cameAtMs = new Map<PeerId, number>();

  /** @returns whether the peer may come in, or stay. */
  admits(peer: PeerId, nowMs: number): boolean {
    const cameAtMs = this.#cameAtMs.get(peer);
    if (cameAtMs !== undefined) {
      if (nowMs - cameAtMs < STAY_MS) return true;
      if (nowMs - cameAtMs < STAY_MS + RETRY_AFTER_MS) return false;
      this.#cameAtMs.delete(peer);
    }
    let present = 0;
    for (const atMs of this.#cameAtMs.values()) if (nowMs - atMs < STAY_MS) present++;
    if (present >= GUESTS_MAX) return false;
    putNewest(this.#cameAtMs, peer, nowMs, REMEMBERED_MAX);
    return true;
  }

  /** The peer has shown a grant: it is no guest any more, and leaves its place to others. */
  welcomed(peer: PeerId): void {
    this.#cameAtMs.delete(peer);
  }
}
