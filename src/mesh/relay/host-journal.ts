import type { Clock, Timer } from "../../platform/clock.ts";
import type { KeyValueStore, StoreOperation } from "../../platform/key-value-store.ts";
import type { Logger } from "../../platform/logger.ts";
import { encodeStored } from "./batch-codec.ts";
import { ChunkCompactor } from "./chunk-compactor.ts";
import type { Guest, StreamProgress } from "./guest.ts";
import type { Chunk } from "./guest-queue.ts";
import type { EvictedStream } from "./host-desk.ts";
import {
  chunkKey,
  isOutdated,
  type KeptGuest,
  keepGeneration,
  keepGuest,
  keepStream,
  keysOf,
  loadGuests,
  streamStoreKey,
} from "./host-store.ts";
import type { UpdateFields } from "./relayed-update.ts";

/** What has left is taken out of the store together with others. */
const SETTLED_LINGER_MS = 1_000;
const RETRY_MS = 5_000;
/** A disk that failed is not trusted with others' updates for so long. */
const DISTRUST_MS = 15_000;
/** What a chunk costs beside its bytes. */
const CHUNK_BYTES = 64;
const DELETIONS_MAX = 1_024;

interface Pending {
  readonly guest: Guest;
  readonly place: Pick<Chunk, "number" | "bytes" | "count">;
  readonly updates: readonly UpdateFields[];
  readonly keep: boolean;
  readonly operation: StoreOperation;
  readonly done: (stored: boolean) => void;
}

/** What a {@link HostJournal} is made of. */
interface JournalParts {
  readonly store: KeyValueStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How long a commit waits for company. */
  readonly lingerMs: () => number;
  /** The store has lost something: nothing of what was kept counts any more. */
  readonly outdated: () => void;
}

/**
 * Writes what guests have handed over. Everything that comes in while a write is under way goes into the next one: one
 * sync of the disk pays for several guests. How far streams have come is written in the batch that deletes what has
 * left, so neither is ever there without the other.
 */
export class HostJournal {
  readonly #parts: JournalParts;
  #pending: Pending[] = [];
  #operations: StoreOperation[] = [];
  /** Guests that have shown themselves. */
  readonly #met = new Set<Guest>();
  #deleted = new Map<Guest, string[]>();
  readonly #further = new Map<Guest, Set<StreamProgress>>();
  #generation: number;
  #running: Promise<void> | undefined;
  #commitTimer: Timer | undefined;
  #settledTimer: Timer | undefined;
  #distrustUntilMs = Number.NEGATIVE_INFINITY;
  #closed = false;
  /** What comes of them late is of no use any more. */
  readonly #gone = new WeakSet<Guest>();
  readonly #compactor: ChunkCompactor;

  constructor(parts: JournalParts) {
    this.#parts = parts;
    this.#compactor = new ChunkCompactor(parts);
    this.#generation = parts.store.generation;
  }

  /** The disk has not failed lately. */
  get works(): boolean {
    return this.#parts.clock.monotonicMs() >= this.#distrustUntilMs;
  }

  /** Reads what is kept. @returns guests of which something can not be read @throws StoreError */
  async load(restore: (kept: KeptGuest) => Guest): Promise<readonly Guest[]> {
    const { store } = this.#parts;
    if (await isOutdated(store)) await this.#clear();
    const damaged: Guest[] = [];
    await loadGuests(store, {
      guest: restore,
      chunk: (guest, { bytes, ...place }, updates) => {
        guest.nextChunk = Math.max(guest.nextChunk, place.number + 1);
        guest.stored({ ...place, bytes: bytes + CHUNK_BYTES }, updates, false);
      },
      damaged: (guest) => damaged.push(guest),
    });
    return damaged;
  }

  /**
   * Keeps updates of a guest, in their order.
   * @param keep in memory too @returns once they are on disk, or false when they can not be written
   */
  append(guest: Guest, updates: readonly UpdateFields[], keep: boolean): Promise<boolean> {
    if (this.#closed) return Promise.resolve(false);
    const value = encodeStored(updates);
    const place = {
      number: guest.nextChunk++,
      bytes: value.length + CHUNK_BYTES,
      count: updates.length,
    };
    guest.pendingBytes += place.bytes;
    const key = chunkKey(guest, place);
    return new Promise((resolve) => {
      const operation = { type: "put", key, value } as const;
      this.#pending.push({ guest, place, updates, keep, operation, done: resolve });
      this.#kick(this.#parts.lingerMs());
    });
  }

  /** The guest is to be known after a restart. */
  noteGuest(guest: Guest): void {
    this.#met.add(guest);
    this.#kickSettled();
  }

  /** Less has to be kept of the stream. */
  noteStream(guest: Guest, progress: StreamProgress): void {
    this.#operations.push(keepStream(guest, progress));
    this.#kickSettled();
  }

  /** The stream is not known any more. */
  evict({ guest, progress }: EvictedStream): void {
    this.#further.get(guest)?.delete(progress);
    this.#operations.push({ type: "del", key: streamStoreKey(guest, progress) });
  }

  /** These have left; with `done`, nothing is left of chunks. */
  settled(guest: Guest, done: readonly Chunk[], further: ReadonlySet<StreamProgress>): void {
    const streams = this.#further.get(guest) ?? new Set();
    for (const progress of further) streams.add(progress);
    this.#further.set(guest, streams);
    if (done.length === 0) return;
    const keys = this.#deleted.get(guest) ?? [];
    for (const chunk of done) keys.push(chunkKey(guest, chunk));
    this.#deleted.set(guest, keys);
    this.#compactor.removed(guest, done);
    if (keys.length >= DELETIONS_MAX) this.#kick(0);
    else this.#kickSettled();
  }

  /** Nothing waits of the guest, and nothing has to be known of it any more. */
  drop(guest: Guest): void {
    this.forget(guest).catch((error: unknown) =>
      this.#parts.logger.warn("a guest could not be forgotten", { reason: String(error) }),
    );
  }

  /** Deletes everything that is kept of a guest. @throws StoreError */
  async forget(guest: Guest): Promise<void> {
    this.#gone.add(guest);
    this.#deleted.delete(guest);
    this.#further.delete(guest);
    await this.#delete(await keysOf(this.#parts.store, guest));
  }

  /** Writes what is pending. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#commitTimer?.cancel();
    this.#settledTimer?.cancel();
    await this.#running;
    await this.#run(true);
    await this.#compactor.done;
  }

  #kick(delayMs: number): void {
    if (this.#running !== undefined || this.#closed) return;
    if (delayMs > 0) {
      this.#commitTimer ??= this.#parts.clock.setTimer("relay.commit", delayMs, () => {
        this.#commitTimer = undefined;
        this.#kick(0);
      });
      return;
    }
    this.#commitTimer?.cancel();
    this.#commitTimer = undefined;
    // Whoever else asks before this turn of the event loop ends comes along.
    this.#running = Promise.resolve()
      .then(() => this.#run(false))
      .finally(() => {
        this.#running = undefined;
        if (this.#pending.length > 0) this.#kick(this.#parts.lingerMs());
      });
  }

  #kickSettled(): void {
    if (this.#closed) return;
    const lingerMs = Math.max(SETTLED_LINGER_MS, this.#parts.lingerMs());
    this.#kickSettledIn(this.works ? lingerMs : RETRY_MS);
  }

  #kickSettledIn(delayMs: number): void {
    this.#settledTimer ??= this.#parts.clock.setTimer("relay.settled", delayMs, () => {
      this.#settledTimer = undefined;
      this.#kick(0);
    });
  }

  async #run(last: boolean): Promise<void> {
    const { store, clock, logger } = this.#parts;
    const pending = this.#pending.filter(({ guest }) => !this.#gone.has(guest));
    for (const { guest, done } of this.#pending) if (this.#gone.has(guest)) done(false);
    this.#pending = [];
    const { operations: others, deleted } = this.#takeSettled();
    const operations = [...pending.map(({ operation }) => operation), ...others];
    if (operations.length === 0) return;
    try {
      operations.push(keepGeneration(this.#generation));
      const durable = pending.length > 0 || last;
      await store.write(operations, { durable, ifGeneration: this.#generation });
    } catch (error) {
      this.#distrustUntilMs = clock.monotonicMs() + DISTRUST_MS;
      logger.error("updates of neighbours could not be written; none of them was acknowledged", {
        reason: error instanceof Error ? error.message : String(error),
      });
      for (const { guest, place, done } of pending) {
        guest.pendingBytes -= place.bytes;
        done(false);
      }
      if (store.generation === this.#generation) this.#putBack(others, deleted);
      else await this.#startOver();
      return;
    }
    this.#compactor.committed();
    for (const { guest, place, updates, keep, done } of pending) {
      guest.pendingBytes -= place.bytes;
      guest.stored(place, updates, keep);
      done(true);
    }
  }

  /** @returns what has to be written of what has left; how far streams came is written with what is deleted alone */
  #takeSettled() {
    const operations = this.#operations;
    this.#operations = [];
    const deleted = this.#deleted;
    this.#deleted = new Map();
    const all = [...operations];
    for (const guest of this.#met) if (!this.#gone.has(guest)) all.push(keepGuest(guest));
    this.#met.clear();
    for (const [guest, keys] of deleted) {
      for (const key of keys) all.push({ type: "del", key });
      for (const progress of this.#further.get(guest) ?? []) all.push(keepStream(guest, progress));
      this.#further.delete(guest);
    }
    return { operations: all, deleted };
  }

  /** As they were made: what has changed since is written by what comes later. */
  #putBack(operations: readonly StoreOperation[], deleted: ReadonlyMap<Guest, unknown>): void {
    this.#operations = [...operations, ...this.#operations];
    for (const guest of deleted.keys()) this.#deleted.set(guest, this.#deleted.get(guest) ?? []);
    this.#kickSettledIn(RETRY_MS);
  }

  /** Some of what was handed over may be lost; the guests have all of it, and hand it over again in order. */
  async #startOver(): Promise<void> {
    this.#parts.outdated();
    this.#operations = [];
    this.#deleted.clear();
    this.#further.clear();
    try {
      await this.#clear();
    } catch (error) {
      this.#parts.logger.error("what neighbours had handed over could not be deleted", {
        reason: String(error),
      });
    }
  }

  async #clear(): Promise<void> {
    const { store } = this.#parts;
    await this.#delete(await keysOf(store));
    this.#generation = store.generation;
  }

  async #delete(keys: readonly string[]): Promise<void> {
    const { store } = this.#parts;
    for (let at = 0; at < keys.length; at += DELETIONS_MAX) {
      const page = keys.slice(at, at + DELETIONS_MAX);
      await store.write(
        page.map((key) => ({ type: "del", key })),
        { durable: at + DELETIONS_MAX >= keys.length },
      );
    }
  }
}
