import { TokenBucket } from "../../mesh/membership/token-bucket.ts";
import { drawSome } from "../../platform/draw-some.ts";
import type { Random } from "../../platform/random.ts";
import type { PeerId } from "../../platform/signer.ts";

/** Each message may cost two signatures to verify; honest neighbours say a few words a minute. */
const MESSAGES_PER_SECOND = 2;
const MESSAGES_BURST = 64;

/** Neighbours that speak of roles, and how much each may still say. */
export class Links {
  readonly #links = new Map<PeerId, TokenBucket>();

  up(peer: PeerId, nowMs: number): void {
    this.#links.set(peer, new TokenBucket(MESSAGES_PER_SECOND, MESSAGES_BURST, nowMs));
  }

  down(peer: PeerId): void {
    this.#links.delete(peer);
  }

  has(peer: PeerId): boolean {
    return this.#links.has(peer);
  }

  /** @returns false when the neighbour has said too much */
  takes(peer: PeerId, nowMs: number): boolean {
    return this.#links.get(peer)?.take(nowMs) === true;
  }

  /** Everybody, or everybody but one. */
  all(except?: PeerId): PeerId[] {
    return [...this.#links.keys()].filter((peer) => peer !== except);
  }

  /** Up to `count` of them, drawn at random. */
  some(count: number, random: Random, except?: PeerId): PeerId[] {
    return drawSome(this.all(except), count, random);
  }

  any(random: Random): PeerId | undefined {
    return [...this.#links.keys()][Math.floor(random.next() * this.#links.size)];
  }
}
