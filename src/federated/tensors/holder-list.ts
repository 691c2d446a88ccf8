import { backoffMs } from "../../platform/backoff.ts";
import type { Random } from "../../platform/random.ts";
import type { PeerId } from "../../platform/signer.ts";
import type { TensorExchangeOptions } from "./options.ts";

/** Holders that one fetch knows of. */
const HOLDERS_MAX = 64;
/** Times that a holder may say it is busy before that counts as a failure. */
const BUSY_MAX = 30;
const BUSY_MS_MAX = 10_000;

interface Holder {
  readonly peer: PeerId;
  /** Attempts that brought nothing. */
  failures: number;
  busy: number;
  notBeforeMs: number;
  /** It gave wrong bytes. */
  isOut: boolean;
  lastReason: string;
}

/** Whom to ask next: a peer, after some time, or nobody any more. */
export type NextHolder = { readonly peer: PeerId } | { readonly waitMs: number } | undefined;

/** Who may have a tensor, and how it went with each. Pure. */
export class HolderList {
  readonly #options: TensorExchangeOptions;
  readonly #random: Random;
  readonly #holders = new Map<PeerId, Holder>();

  constructor(options: TensorExchangeOptions, random: Random) {
    this.#options = options;
    this.#random = random;
  }

  /** Those that are here already keep their place. */
  add(peers: Iterable<PeerId>): void {
    for (const peer of peers) {
      if (this.#holders.size >= HOLDERS_MAX) return;
      if (this.#holders.has(peer)) continue;
      const fresh = { failures: 0, busy: 0, notBeforeMs: 0, isOut: false, lastReason: "not asked" };
      this.#holders.set(peer, { peer, ...fresh });
    }
  }

  /** @returns the holder that failed least, in order of mention */
  next(nowMs: number): NextHolder {
    let best: Holder | undefined;
    let waitMs = Number.POSITIVE_INFINITY;
    for (const holder of this.#holders.values()) {
      if (holder.isOut || holder.failures >= this.#options.attemptsMax) continue;
      if (holder.notBeforeMs > nowMs) waitMs = Math.min(waitMs, holder.notBeforeMs - nowMs);
      else if (best === undefined || holder.failures < best.failures) best = holder;
    }
    if (best !== undefined) return { peer: best.peer };
    return waitMs < Number.POSITIVE_INFINITY ? { waitMs } : undefined;
  }

  /** It broke off after it had given something: it may go on at once. @param isNew nobody had come that far */
  progressed(peer: PeerId, reason: string, isNew: boolean): void {
    const holder = this.#holders.get(peer);
    if (holder === undefined) return;
    holder.lastReason = reason;
    // What it gives a second time does not count, or two holders might send a fetch to and fro for ever.
    if (isNew) holder.failures = 0;
  }

  /** It gave nothing. */
  failed(peer: PeerId, reason: string, nowMs: number): void {
    const holder = this.#holders.get(peer);
    if (holder === undefined) return;
    holder.lastReason = reason;
    holder.failures++;
    holder.notBeforeMs = nowMs + backoffMs(holder.failures, this.#options, this.#random);
  }

  /** It has too much to do. */
  busy(peer: PeerId, retryAfterMs: number, nowMs: number): void {
    const holder = this.#holders.get(peer);
    if (holder === undefined) return;
    holder.lastReason = "busy";
    holder.busy++;
    if (holder.busy % BUSY_MAX === 0) holder.failures++;
    const { retryMinMs } = this.#options;
    const leastMs = Math.min(BUSY_MS_MAX, Math.max(retryMinMs, retryAfterMs));
    // With chance, so that those it turned away do not come back together.
    holder.notBeforeMs = nowMs + Math.ceil(leastMs * (1 + this.#random.next()));
  }

  /** It gave wrong bytes, and is asked no more. */
  exclude(peer: PeerId, reason: string): void {
    const holder = this.#holders.get(peer);
    if (holder === undefined) return;
    holder.isOut = true;
    holder.lastReason = reason;
  }

  /** @returns how it went, for people */
  describe(): string {
    const all = [...this.#holders.values()];
    return all.length === 0
      ? "no holder is known"
      : all.map(({ peer, lastReason }) => `${peer}: ${lastReason}`).join("; ");
  }
}
