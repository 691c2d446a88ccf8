import type { Update } from "./update.ts";

/** An update that lies in a lane, with the bytes it takes there. */
export interface QueuedUpdate {
  readonly update: Update;
  readonly bytes: number;
}

/** A backlog of so many times the cache is read from disk; nothing of it is kept in memory. */
const BACKLOG_FACTOR = 2;

/**
 * One priority's run of updates: what of it is on disk, what has been leased to the uplink, and the newest
 * few in memory so that a reading can leave without being read back.
 *
 *     head ≤ leased … cursor ≤ (on disk only) … cachedFrom ≤ (also in memory) … next ordinal
 */
export class Lane {
  readonly priority: number;
  /** Updates on disk that are not acknowledged, dropped or expired. */
  count = 0;
  bytes = 0;
  /** The first ordinal that was not leased yet. */
  cursor = 0;
  /** From this ordinal on, everything that was not leased is in memory too. */
  cachedFrom = 0;
  /** One past the newest update that is on disk; what is being written lies behind it. */
  end = 0;
  /** Counts {@link rewind}s: what was read from disk before one says nothing after it. */
  rewinds = 0;
  /**
   * The oldest are being dropped. Nothing leaves until that is on disk: were it to fail, what was dropped
   * would come back behind its successors.
   */
  shedding = false;
  /** In order of ordinal; leaves by acknowledgement, refusal or {@link rewind}. */
  readonly leases = new Map<number, QueuedUpdate>();
  cachedBytes = 0;
  #cached: QueuedUpdate[] = [];
  #cachedAt = 0;

  constructor(priority: number) {
    this.priority = priority;
  }

  /** The lowest ordinal that can still be in this lane. */
  get head(): number {
    const lease = this.leases.keys().next();
    return lease.done === true ? this.cursor : Math.min(lease.value, this.cursor);
  }

  /** Updates that can be leased. */
  get available(): number {
    return this.count - this.leases.size;
  }

  /**
   * Counts an update that is on disk now, and keeps it in memory while that may spare reading it back.
   * @param cacheBytesLeft of `cacheBytesMax`, which all lanes share
   */
  add(queued: QueuedUpdate, cacheBytesLeft: number, cacheBytesMax: number): void {
    this.count++;
    this.bytes += queued.bytes;
    this.end = queued.update.ordinal + 1;
    // So far behind, whoever reads would find it pushed out again.
    if (this.bytes > BACKLOG_FACTOR * cacheBytesMax) {
      this.clearCache();
      return;
    }
    let left = cacheBytesLeft;
    while (queued.bytes > left && this.#cachedAt < this.#cached.length) {
      const dropped = this.shiftCached();
      if (dropped === undefined) break;
      left += dropped.bytes;
      this.cachedFrom = dropped.update.ordinal + 1;
    }
    if (queued.bytes > left) {
      this.cachedFrom = queued.update.ordinal + 1;
      return;
    }
    this.#cached.push(queued);
    this.cachedBytes += queued.bytes;
  }

  /** Leases the next update that is in memory; undefined when it is only on disk, or there is none. */
  leaseCached(): QueuedUpdate | undefined {
    if (this.cursor < this.cachedFrom) return undefined;
    const queued = this.shiftCached();
    if (queued !== undefined) this.lease(queued);
    return queued;
  }

  lease(queued: QueuedUpdate): void {
    this.leases.set(queued.update.ordinal, queued);
    this.cursor = queued.update.ordinal + 1;
  }

  /** Takes an update out of the books: acknowledged, dropped, expired or dead. */
  remove(ordinal: number, bytes: number): void {
    this.leases.delete(ordinal);
    this.count--;
    this.bytes -= bytes;
  }

  /** Forgets that `ordinal` and all before it are in memory. */
  dropCachedUpTo(ordinal: number): void {
    for (;;) {
      const next = this.#cached[this.#cachedAt];
      if (next === undefined || next.update.ordinal > ordinal) return;
      this.shiftCached();
    }
  }

  /** Everything that was leased can be leased again, from disk. */
  rewind(): void {
    this.rewinds++;
    this.cursor = this.head;
    this.leases.clear();
    this.clearCache();
  }

  /** Forgets what is in memory; it is read from disk when its turn comes. */
  clearCache(): void {
    if (this.#cached.length > 0) this.#cached = [];
    this.#cachedAt = 0;
    this.cachedBytes = 0;
    this.cachedFrom = this.end;
  }

  shiftCached(): QueuedUpdate | undefined {
    const queued = this.#cached[this.#cachedAt];
    if (queued === undefined) return undefined;
    this.#cachedAt++;
    this.cachedBytes -= queued.bytes;
    // Array.shift moves everything behind it; cut off the used front now and then instead.
    if (this.#cachedAt >= 1_024 || this.#cachedAt === this.#cached.length) {
      this.#cached = this.#cached.slice(this.#cachedAt);
      this.#cachedAt = 0;
    }
    return queued;
  }

  /** The oldest update in memory or under way, to tell the queue's age without reading the disk. */
  peekOldest(): Update | undefined {
    const lease = this.leases.values().next();
    if (lease.done !== true) return lease.value.update;
    return this.cursor >= this.cachedFrom ? this.#cached[this.#cachedAt]?.update : undefined;
  }
}
