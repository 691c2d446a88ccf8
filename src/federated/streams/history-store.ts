import type { KeyValueStore, StoreOperation } from "../../platform/key-value-store.ts";
import { DataError } from "../data/data-error.ts";
import type { HistoryPoint } from "./history.ts";
import {
  BLOCK_HEADER_BYTES,
  BLOCK_POINTS,
  decodeBlock,
  encodeBlock,
  type HistoryBlock,
} from "./history-block.ts";

/** Enough for steps of 10 ms up to the year 9999. */
const SLOT_DIGITS = 15;
/** Blocks are written no more often: what fills faster waits, and goes together. */
const WRITE_INTERVAL_MS_MIN = 60_000;
/** Points wait no longer than this for their block to fill: a device that loses its power each evening has a history all the same. */
const WAIT_MS_MAX = 3_600_000;
/** Points that wait while the store does not take them; beyond, the oldest are given up. */
const WAITING_POINTS_MAX = 64 * BLOCK_POINTS;
const READ_BLOCKS_MAX = 64;
const READ_BYTES_MAX = 1024 * 1024;
const DAY_MS = 86_400_000;
/** Most that zstd adds to what it can not make smaller. */
const FRAME_BYTES_MAX = 32;

/** Where a history is kept. */
export interface HistoryPlace {
  readonly store: KeyValueStore;
  /** Begins every key of it: ASCII, and no other history's. */
  readonly prefix: string;
}

/** What became of points on their way to disk and back, since start. */
export interface HistoryStoreCounts {
  readonly blocksWritten: number;
  /** Keys and values of blocks; what the store adds to that is in its own books. */
  readonly bytesWritten: number;
  /** Points that were read back. */
  readonly pointsLoaded: number;
  /** Blocks that could not be read back, and were removed. */
  readonly blocksDamaged: number;
  readonly writesFailed: number;
  /** Points that were given up since the store took nothing for too long. */
  readonly pointsLost: number;
}

/** @returns bytes that a history of this kind writes in a day at most: with values that can not be compressed at all */
export function historyBytesPerDayMax(
  { everyMs, columns }: { readonly everyMs: number; readonly columns: number },
  prefix: string,
): number {
  const points = Math.ceil(DAY_MS / everyMs);
  const blocks = Math.ceil(points / BLOCK_POINTS) + Math.min(points, DAY_MS / WAIT_MS_MAX);
  const key = prefix.length + SLOT_DIGITS;
  // Each block is written, and one day removed by its key.
  return points * 4 * (columns + 1) + blocks * (BLOCK_HEADER_BYTES + FRAME_BYTES_MAX + 2 * key);
}

/**
 * Keeps a history on flash: points are gathered into blocks, which are written without waiting for the disk, at most once a minute, and what
 * waits for an hour whether the block is full or not. A crash costs what was not written yet; closing writes it all.
 */
export class HistoryStore {
  readonly #place: HistoryPlace;
  readonly #columns: number;
  readonly #pointsMax: number;
  #waiting: HistoryPoint[] = [];
  /** When the oldest of them came. */
  #waitingSinceMs = Number.NEGATIVE_INFINITY;
  #writtenAtMs = Number.NEGATIVE_INFINITY;
  #writing: Promise<void> | undefined;
  /** Of blocks on disk, ascending. */
  #keys: string[] = [];
  /** Of blocks that go with the next write. */
  #goneKeys: string[] = [];
  readonly #counts = {
    blocksWritten: 0,
    bytesWritten: 0,
    pointsLoaded: 0,
    blocksDamaged: 0,
    writesFailed: 0,
    pointsLost: 0,
  };

  /** @param bounds of the history; older blocks are removed */
  constructor(
    place: HistoryPlace,
    bounds: { readonly columns: number; readonly pointsMax: number },
  ) {
    this.#place = place;
    this.#columns = bounds.columns;
    this.#pointsMax = bounds.pointsMax;
  }

  counts(): HistoryStoreCounts {
    return { ...this.#counts };
  }

  /**
   * Reads everything back, oldest first. Blocks that are damaged are counted and removed.
   * @throws StoreError
   */
  async load(take: (slot: number, row: Float32Array) => void): Promise<void> {
    const { store, prefix } = this.#place;
    const lt = `${prefix}:`;
    let gte = prefix;
    for (;;) {
      const range = { gte, lt, limit: READ_BLOCKS_MAX, bytesMax: READ_BYTES_MAX };
      const entries = await store.range(range);
      for (const [key, value] of entries) this.#loadBlock(key, value, take);
      const last = entries.at(-1);
      if (last === undefined) return;
      gte = `${last[0]}\0`;
    }
  }

  /** Takes a point; once enough of them wait and the last write is long enough ago, they are written. */
  add(slot: number, row: Float32Array, monotonicMs: number): void {
    // After a boot the clock begins anew.
    if (monotonicMs < this.#writtenAtMs) this.#writtenAtMs = Number.NEGATIVE_INFINITY;
    if (this.#waiting.length === 0 || monotonicMs < this.#waitingSinceMs)
      this.#waitingSinceMs = monotonicMs;
    this.#waiting.push({ slot, row: row.slice() });
    this.#giveUpOldest();
    const isDue = monotonicMs - this.#writtenAtMs >= WRITE_INTERVAL_MS_MIN;
    const isOverdue = monotonicMs - this.#waitingSinceMs >= WAIT_MS_MAX;
    const full = this.#waiting.length - (this.#waiting.length % BLOCK_POINTS);
    const points = isOverdue ? this.#waiting.length : full;
    if (points === 0 || !isDue || this.#writing !== undefined) return;
    this.#writtenAtMs = monotonicMs;
    this.#waitingSinceMs = monotonicMs;
    void this.#write(points, false);
  }

  /** Takes points anew that had other slots before, from one on. @param points as they are now */
  replace(formerSlot: number, points: readonly HistoryPoint[]): void {
    const key = this.#keyOf(formerSlot);
    const kept = this.#keys.findIndex((each) => each >= key);
    if (kept !== -1) this.#goneKeys.push(...this.#keys.splice(kept));
    this.#waiting = [...this.#waiting.filter(({ slot }) => slot < formerSlot), ...points];
    this.#giveUpOldest();
  }

  /** Writes all that waits, whole block or not, and waits for the disk. What the store refuses is counted, and stays. */
  async flush(): Promise<void> {
    await this.#writing;
    if (this.#waiting.length > 0) await this.#write(this.#waiting.length, true);
  }

  /** Removes all of it from the store. @throws StoreError */
  async erase(): Promise<void> {
    await this.#writing;
    this.#waiting = [];
    this.#goneKeys = [];
    this.#keys = [];
    const { store, prefix } = this.#place;
    for (;;) {
      const range = { gte: prefix, lt: `${prefix}:`, limit: READ_BLOCKS_MAX };
      const entries = await store.range(range);
      if (entries.length === 0) return;
      const removals = entries.map(([key]) => ({ type: "del", key }) as const);
      await store.write(removals, { durable: false });
    }
  }

  #loadBlock(
    key: string,
    value: Uint8Array,
    take: (slot: number, row: Float32Array) => void,
  ): void {
    let block: HistoryBlock;
    try {
      block = decodeBlock(value, this.#columns);
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      this.#counts.blocksDamaged++;
      this.#goneKeys.push(key);
      return;
    }
    for (const [at, slot] of block.slots.entries())
      take(slot, block.values.subarray(at * this.#columns, (at + 1) * this.#columns));
    this.#counts.pointsLoaded += block.slots.length;
    this.#keys.push(key);
  }

  #write(points: number, durable: boolean): Promise<void> {
    const batch = this.#waiting.splice(0, points);
    const newestSlot = batch.at(-1)?.slot ?? 0;
    const puts: (StoreOperation & { readonly type: "put" })[] = [];
    for (let at = 0; at < batch.length; at += BLOCK_POINTS)
      puts.push(this.#operationOf(batch.slice(at, at + BLOCK_POINTS)));
    const expired = this.#expired(this.#keyOf(Math.max(0, newestSlot - this.#pointsMax)));
    const removed = [...this.#goneKeys, ...expired];
    const operations = [...removed.map((key) => ({ type: "del", key }) as const), ...puts];
    const written = this.#place.store.write(operations, { durable }).then(
      () => {
        this.#goneKeys = this.#goneKeys.filter((key) => !removed.includes(key));
        this.#keys = this.#keys.filter((key) => !removed.includes(key));
        for (const { key, value } of puts) {
          this.#keys.push(key);
          this.#counts.blocksWritten++;
          this.#counts.bytesWritten += key.length + value.length;
        }
      },
      () => {
        this.#counts.writesFailed++;
        this.#waiting = [...batch, ...this.#waiting];
        this.#giveUpOldest();
      },
    );
    this.#writing = written.finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  #giveUpOldest(): void {
    const many = this.#waiting.length - WAITING_POINTS_MAX;
    if (many <= 0) return;
    this.#waiting.splice(0, many);
    this.#counts.pointsLost += many;
  }

  /** @returns keys of blocks that lie wholly before the history: the next one begins before it too */
  #expired(oldest: string): readonly string[] {
    const kept = this.#keys.findIndex((_, at) => {
      const next = this.#keys[at + 1];
      return next === undefined || next > oldest;
    });
    return this.#keys.slice(0, Math.max(0, kept));
  }

  #keyOf(slot: number): string {
    return `${this.#place.prefix}${String(slot).padStart(SLOT_DIGITS, "0")}`;
  }

  #operationOf(points: readonly HistoryPoint[]) {
    const slots = Float64Array.from(points, ({ slot }) => slot);
    const values = new Float32Array(points.length * this.#columns);
    for (const [at, { row }] of points.entries()) values.set(row, at * this.#columns);
    const value = encodeBlock({ columns: this.#columns, slots, values });
    return { type: "put", key: this.#keyOf(slots[0] as number), value } as const;
  }
}
