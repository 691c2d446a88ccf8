import type { Clock } from "../platform/clock.ts";
import type { KeyValueStore } from "../platform/key-value-store.ts";
import type { Logger } from "../platform/logger.ts";
import { elapsedMs, type Moment, momentOf } from "../platform/moment.ts";
import type { PeerId } from "../platform/signer.ts";
import { LazyWriter } from "./lazy-writer.ts";

const PREFIX = "g/b/";
const PREFIX_END = "g/b0";
const REASON_CHARACTERS_MAX = 200;

/** A ban, in the form that is kept; what ended is remembered until it is forgiven. */
export interface Ban {
  readonly peer: PeerId;
  readonly reason: string;
  /** Who gave it; `automatic` when the score did. */
  readonly by: string;
  /** From then on time is counted, on top of `elapsedBeforeMs`. */
  readonly since: Moment;
  readonly elapsedBeforeMs: number;
  /** Until it is lifted unless set. */
  readonly durationMs?: number;
  /** Bans that this one followed. */
  readonly strikes: number;
  /** Label for people, ms since 1970. */
  readonly givenAtMs: number;
}

interface Parts {
  readonly clock: Clock;
  readonly store: KeyValueStore;
  readonly logger: Logger;
}

/**
 * Bans under the store's prefix `g/b/`. Their length is counted in time gone by, never in dates: within a boot by
 * the monotonic clock, across boots by the wall clock where that could be trusted both times, and otherwise by
 * what is known to have gone by.
 */
export class BanList {
  readonly #parts: Parts;
  readonly #bansMax: number;
  readonly #bans = new Map<PeerId, Ban>();
  readonly #writer: LazyWriter;

  private constructor(parts: Parts, bansMax: number) {
    this.#parts = parts;
    this.#bansMax = bansMax;
    this.#writer = new LazyWriter(parts, "bans", (key) => {
      const ban = this.#bans.get(key.slice(PREFIX.length));
      return ban === undefined ? undefined : Buffer.from(JSON.stringify(ban));
    });
  }

  /** Reads the bans. A record that can not be read is left out and logged. @throws StoreError */
  static async open(parts: Parts, limits: { readonly bansMax: number }): Promise<BanList> {
    const list = new BanList(parts, limits.bansMax);
    const entries = await parts.store.range({
      gte: PREFIX,
      lt: PREFIX_END,
      limit: limits.bansMax,
    });
    for (const [key, value] of entries) {
      const ban = decode(value);
      if (ban === undefined || PREFIX + ban.peer !== key)
        parts.logger.warn("a ban cannot be read", { key });
      else list.#bans.set(ban.peer, ban);
    }
    list.checkpoint();
    return list;
  }

  get size(): number {
    return this.#bans.size;
  }

  get(peer: PeerId): Ban | undefined {
    return this.#bans.get(peer);
  }

  all(): Iterable<Ban> {
    return this.#bans.values();
  }

  /** @returns milliseconds until the ban ends; infinite for one that has to be lifted, 0 or less when it ended. */
  remainingMs(ban: Ban): number {
    if (ban.durationMs === undefined) return Number.POSITIVE_INFINITY;
    return ban.durationMs - this.#elapsedMs(ban);
  }

  /**
   * Begins a ban now; written by {@link flush}.
   * @returns false when the list is full of bans that people gave
   */
  add(ban: Pick<Ban, "peer" | "reason" | "by" | "durationMs" | "strikes">): boolean {
    if (!this.#bans.has(ban.peer) && this.#bans.size >= this.#bansMax && !this.#makeRoom())
      return false;
    const { clock } = this.#parts;
    this.#bans.set(ban.peer, {
      ...ban,
      reason: ban.reason.slice(0, REASON_CHARACTERS_MAX),
      since: momentOf(clock),
      elapsedBeforeMs: 0,
      givenAtMs: clock.wallMs(),
    });
    this.#writer.changed(PREFIX + ban.peer);
    return true;
  }

  /** @returns whether there was one */
  remove(peer: PeerId): boolean {
    const there = this.#bans.delete(peer);
    if (there) this.#writer.changed(PREFIX + peer);
    return there;
  }

  /** Writes what has changed. @throws StoreError; what was not written is tried again with the next call */
  flush(): Promise<void> {
    return this.#writer.flush();
  }

  /** Writes what has changed, and nothing later. @throws StoreError */
  close(): Promise<void> {
    return this.#writer.close();
  }

  /**
   * Notes how much of each ban has gone by, so that a device that does not know the date after a reboot does not
   * begin them anew.
   */
  checkpoint(): void {
    const { clock } = this.#parts;
    for (const ban of this.#bans.values()) {
      const otherBoot = ban.since.bootId !== clock.bootId;
      // The date will tell more about it than we know now.
      if (otherBoot && ban.since.wallTrusted && !clock.wallTrusted()) continue;
      const elapsedBeforeMs = this.#elapsedMs(ban);
      this.#bans.set(ban.peer, { ...ban, since: momentOf(clock), elapsedBeforeMs });
      this.#writer.changed(PREFIX + ban.peer);
    }
  }

  #elapsedMs(ban: Ban): number {
    return ban.elapsedBeforeMs + elapsedMs(ban.since, this.#parts.clock);
  }

  /** The one that ends first gives way: those that began to repeat themselves stay longest. */
  #makeRoom(): boolean {
    let first: Ban | undefined;
    let firstMs = Number.POSITIVE_INFINITY;
    for (const ban of this.#bans.values()) {
      const remainingMs = this.remainingMs(ban);
      const manual = ban.by !== "automatic" && remainingMs > 0;
      if (manual || remainingMs >= firstMs) continue;
      first = ban;
      firstMs = remainingMs;
    }
    return first !== undefined && this.remove(first.peer);
  }
}

function decode(value: Uint8Array): Ban | undefined {
  try {
    const ban = JSON.parse(Buffer.from(value).toString("utf8")) as Ban;
    const sound =
      typeof ban.peer === "string" &&
      typeof ban.reason === "string" &&
      typeof ban.by === "string" &&
      Number.isFinite(ban.elapsedBeforeMs) &&
      Number.isFinite(ban.strikes) &&
      Number.isFinite(ban.givenAtMs) &&
      (ban.durationMs === undefined || Number.isFinite(ban.durationMs)) &&
      typeof ban.since.bootId === "string" &&
      typeof ban.since.wallTrusted === "boolean" &&
      Number.isFinite(ban.since.wallMs) &&
      Number.isFinite(ban.since.monotonicMs);
    return sound ? ban : undefined;
  } catch {
    return undefined;
  }
}
