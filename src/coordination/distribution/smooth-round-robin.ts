import type { PeerId } from "../../platform/signer.ts";

/** One of those who take turns. */
export interface Weighted {
  readonly peer: PeerId;
  /** Above 0. */
  readonly weight: number;
}

/**
 * Smooth weighted round robin as nginx does it (upstream round robin, since 1.3.1): at each turn everybody gains its weight,
 * whoever has most has the turn and pays what all gained. Turns are in proportion to the weights, and never in bursts.
 */
export class SmoothRoundRobin {
  #gained = new Map<PeerId, number>();

  /** @returns whose turn it is among these; undefined when there are none. Others neither gain nor pay. */
  next<T extends Weighted>(candidates: readonly T[]): T | undefined {
    let chosen: T | undefined;
    let most = Number.NEGATIVE_INFINITY;
    let sum = 0;
    for (const candidate of candidates) {
      const gained = (this.#gained.get(candidate.peer) ?? 0) + candidate.weight;
      this.#gained.set(candidate.peer, gained);
      sum += candidate.weight;
      if (gained <= most) continue;
      most = gained;
      chosen = candidate;
    }
    if (chosen !== undefined) this.#gained.set(chosen.peer, most - sum);
    return chosen;
  }

  /** Somebody takes no turns any more. */
  remove(peer: PeerId): void {
    this.#gained.delete(peer);
  }
}
