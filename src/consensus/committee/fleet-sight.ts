import type { PeerId } from "../../platform/signer.ts";
import type { Fitness } from "./next-step.ts";

/** The fleet as a committee has to know it: roles, and who is there. */
export interface FleetSight {
  readonly self: PeerId;
  /** Whom the roles want in the committee, the coordinator first; nobody where there is no quorum to be had. */
  wanted(): readonly PeerId[];
  fitness(peer: PeerId): Exclude<Fitness, "lost">;
  /** To whom there is a link. */
  neighbours(): readonly PeerId[];
}

/** How long members have been unfit. */
export class FitnessWatch {
  readonly #since = new Map<PeerId, number>();
  readonly #lost = new Set<PeerId>();
  readonly #sight: FleetSight;

  constructor(sight: FleetSight) {
    this.#sight = sight;
  }

  /** It said so itself: it holds until it was taken out. */
  lost(peer: PeerId): void {
    this.#lost.add(peer);
  }

  /** There is another committee. */
  forget(): void {
    this.#lost.clear();
    this.#since.clear();
  }

  fitness(peer: PeerId): Fitness {
    return this.#lost.has(peer) ? "lost" : this.#sight.fitness(peer);
  }

  unfitForMs(peer: PeerId, nowMs: number): number {
    return nowMs - (this.#since.get(peer) ?? nowMs);
  }

  /** Looks at the members; about others nothing is remembered. */
  look(members: readonly PeerId[], nowMs: number): void {
    for (const peer of [...this.#since.keys(), ...this.#lost])
      if (!members.includes(peer)) {
        this.#since.delete(peer);
        this.#lost.delete(peer);
      }
    for (const peer of members)
      if (this.fitness(peer) === "fit") this.#since.delete(peer);
      else if (!this.#since.has(peer)) this.#since.set(peer, nowMs);
  }
}
