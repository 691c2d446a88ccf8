import type { Random } from "../../platform/random.ts";
import type { PeerId } from "../../platform/signer.ts";

/** A dial of which nobody tells how it ended counts as failed after this time. */
const DIAL_PATIENCE_MS = 60_000;
const FIRST_PAUSE_MS = 1_000;
const PAUSE_MAX_MS = 60_000;
/** For members that have been gone for long. */
const LONG_PAUSE_MAX_MS = 600_000;
const BACKOFFS_MAX = 8_192;

interface Backoff {
  readonly failures: number;
  readonly notBeforeMs: number;
}

/** Dials under way, and when those that failed may be tried again: exponential, with jitter, and for ever. */
export class Dials {
  readonly #random: Random;
  readonly #underWay = new Map<PeerId, number>();
  readonly #backoffs = new Map<PeerId, Backoff>();

  constructor(random: Random) {
    this.#random = random;
  }

  get underWay(): number {
    return this.#underWay.size;
  }

  /** Whether it may be dialled now. */
  allows(peer: PeerId, nowMs: number): boolean {
    if (this.#underWay.has(peer)) return false;
    const backoff = this.#backoffs.get(peer);
    return backoff === undefined || backoff.notBeforeMs <= nowMs;
  }

  isUnderWay(peer: PeerId): boolean {
    return this.#underWay.has(peer);
  }

  begin(peer: PeerId, nowMs: number): void {
    this.#underWay.set(peer, nowMs + DIAL_PATIENCE_MS);
  }

  succeeded(peer: PeerId): void {
    this.#underWay.delete(peer);
    this.#backoffs.delete(peer);
  }

  /** There is reason to try again at once. */
  forgive(peer: PeerId): void {
    this.#backoffs.delete(peer);
  }

  /** @param goneForMs how long it has been dead */
  failed(peer: PeerId, nowMs: number, goneForMs: number): void {
    this.#underWay.delete(peer);
    const failures = (this.#backoffs.get(peer)?.failures ?? 0) + 1;
    const maxMs = Math.min(LONG_PAUSE_MAX_MS, Math.max(PAUSE_MAX_MS, goneForMs));
    const pauseMs = Math.min(maxMs, FIRST_PAUSE_MS * 2 ** Math.min(failures - 1, 20));
    const notBeforeMs = nowMs + pauseMs * (0.5 + 0.5 * this.#random.next());
    this.#backoffs.delete(peer);
    this.#backoffs.set(peer, { failures, notBeforeMs });
    if (this.#backoffs.size <= BACKOFFS_MAX) return;
    const [oldest] = this.#backoffs.keys();
    if (oldest !== undefined) this.#backoffs.delete(oldest);
  }

  /** @returns dials that took too long, which are failed now */
  expire(nowMs: number): void {
    for (const [peer, untilMs] of this.#underWay) if (untilMs <= nowMs) this.failed(peer, nowMs, 0);
  }
}
