import type { PeerId } from "../../platform/signer.ts";

/** Peers remembered; nobody but members gets so far. */
const PEERS_MAX = 1_024;

/** Lets something be done for each peer once in a while. */
export class Pace {
  readonly #everyMs: number;
  readonly #lastMs = new Map<PeerId, number>();

  constructor(everyMs: number) {
    this.#everyMs = everyMs;
  }

  /** @returns whether it is time again; then it counts as done */
  isDue(peer: PeerId, nowMs: number): boolean {
    const lastMs = this.#lastMs.get(peer);
    if (lastMs !== undefined && nowMs - lastMs < this.#everyMs) return false;
    if (this.#lastMs.size >= PEERS_MAX) this.#lastMs.clear();
    this.#lastMs.set(peer, nowMs);
    return true;
  }
}
