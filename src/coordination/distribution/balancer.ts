import type { Random } from "../../platform/random.ts";
import type { PeerId } from "../../platform/signer.ts";
import { SmoothRoundRobin } from "./smooth-round-robin.ts";
import type { Requirements } from "./task.ts";
import type { Worker } from "./worker.ts";

/**
 * Chooses among agents that can do the same: whose turn it is by weight, unless one other, drawn at random, is less busy by
 * more than a margin. Two choices are nearly as good as the least loaded of all, and do not send everybody to the same one
 * when reports are old (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001).
 */
export class Balancer {
  readonly #random: Random;
  readonly #loadMargin: number;
  readonly #turns = new SmoothRoundRobin();

  /** @param loadMargin by less than this, agents count as equally busy */
  constructor(random: Random, loadMargin: number) {
    this.#random = random;
    this.#loadMargin = loadMargin;
  }

  /**
   * @param able agents that meet the requirements when idle
   * @param avoided has failed at this just now; taken only if nobody else has room
   */
  choose(
    able: readonly Worker[],
    needs: Requirements,
    avoided: PeerId | undefined,
  ): Worker | undefined {
    let free = able.filter((worker) => worker.hasRoomFor(needs));
    if (avoided !== undefined && free.length > 1)
      free = free.filter(({ peer }) => peer !== avoided);
    const turn = this.#turns.next(free);
    if (turn === undefined || free.length === 1) return turn;
    const other = free[Math.floor(this.#random.next() * free.length)];
    return other !== undefined && other.load < turn.load - this.#loadMargin ? other : turn;
  }

  remove(peer: PeerId): void {
    this.#turns.remove(peer);
  }
}
