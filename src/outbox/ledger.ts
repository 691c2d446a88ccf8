import type { KeyValueStore, StoreOperation } from "../platform/key-value-store.ts";
import {
  BOOTS_KEY,
  COUNTERS_KEY,
  DEAD_LETTERS,
  LANES,
  laneEnd,
  parseUpdateKey,
  STREAMS,
  streamKey,
  updateKey,
} from "./keys.ts";
import { Lane, type QueuedUpdate } from "./lane.ts";
import { decodeRecord } from "./record-codec.ts";
import { StreamTable } from "./stream-table.ts";

/** Names of this many boots are kept; records of older ones lose theirs and keep all else. */
const BOOTS_MAX = 256;
const PAGE = 2_000;
const PAGE_BYTES_MAX = 1024 * 1024;

interface Counters {
  readonly nextOrdinal: number;
  readonly lanes: (readonly [priority: number, head: number, count: number, bytes: number])[];
  readonly deadLetters: readonly [nextOrdinal: number, count: number, bytes: number];
}

/**
 * The books of the outbox: what is in it, in numbers. They are written together with every removal and
 * every few thousand additions, so that opening an outbox with a million updates reads a few thousand.
 */
export class Ledger {
  readonly lanes: readonly Lane[];
  readonly streams = new StreamTable();
  nextOrdinal = 1;
  deadLetterNextOrdinal = 1;
  deadLetterCount = 0;
  deadLetterBytes = 0;
  /** Number of this boot in records. */
  readonly boot: number;
  readonly #boots: Map<number, string>;
  /** This boot's name is not on disk yet. */
  #bootUnnamed: boolean;

  private constructor(boots: Boots) {
    this.boot = boots.boot;
    this.#boots = boots.names;
    this.#bootUnnamed = boots.isNew;
    this.lanes = Array.from({ length: LANES }, (_, priority) => new Lane(priority));
  }

  /** Reads the books and brings them up to date. @throws StoreError */
  static async load(store: KeyValueStore, bootId: string): Promise<Ledger> {
    const ledger = new Ledger(await loadBoots(store, bootId));
    await ledger.#loadStreams(store);
    const counters = parseCounters(await store.get(COUNTERS_KEY));
    if (counters === undefined) await ledger.#countDeadLetters(store);
    else ledger.#takeCounters(counters);
    const counted = ledger.nextOrdinal;
    for (const lane of ledger.lanes) await ledger.#countNewer(store, lane, counted);
    for (const lane of ledger.lanes) {
      if (lane.count === 0) lane.cursor = ledger.nextOrdinal;
      lane.end = ledger.nextOrdinal;
      lane.clearCache();
    }
    return ledger;
  }

  lane(priority: number): Lane {
    const lane = this.lanes[priority];
    if (lane === undefined) throw new RangeError(`priority ${priority} is not 0 to 9`);
    return lane;
  }

  get updates(): number {
    return this.lanes.reduce((sum, lane) => sum + lane.count, 0);
  }

  get bytes(): number {
    // Asked for at every append.
    let sum = 0;
    for (const lane of this.lanes) sum += lane.bytes;
    return sum;
  }

  get cachedBytes(): number {
    return this.lanes.reduce((sum, lane) => sum + lane.cachedBytes, 0);
  }

  bootName(boot: number): string {
    return this.#boots.get(boot) ?? "forgotten";
  }

  /** @returns the write that names this boot, until it was asked for; records refer to that name. */
  takeBootName(): StoreOperation[] {
    if (!this.#bootUnnamed) return [];
    this.#bootUnnamed = false;
    const value = Buffer.from(JSON.stringify([...this.#boots]));
    return [{ type: "put", key: BOOTS_KEY, value }];
  }

  /**
   * @param uncounted what is on disk after this batch and the lanes do not count: what the batch appends,
   *   and what was removed since the batch's removals were gathered
   * @returns the writes that bring the books on disk up to date; they belong into one atomic batch.
   */
  write(uncounted: Iterable<QueuedUpdate>): StoreOperation[] {
    const counts = this.lanes.map(({ count, bytes, head }) => ({ count, bytes, head }));
    for (const { update, bytes } of uncounted) {
      const lane = counts[update.priority];
      if (lane === undefined) continue;
      lane.count++;
      lane.bytes += bytes;
      lane.head = Math.min(lane.head, update.ordinal);
    }
    const counters: Counters = {
      nextOrdinal: this.nextOrdinal,
      lanes: counts.flatMap(({ count, bytes, head }, priority) =>
        count === 0 ? [] : [[priority, head, count, bytes] as const],
      ),
      deadLetters: [this.deadLetterNextOrdinal, this.deadLetterCount, this.deadLetterBytes],
    };
    return [
      ...this.streams.takeDirty(),
      { type: "put", key: COUNTERS_KEY, value: Buffer.from(JSON.stringify(counters)) },
    ];
  }

  #takeCounters(counters: Counters): void {
    this.nextOrdinal = counters.nextOrdinal;
    for (const [priority, head, count, bytes] of counters.lanes) {
      const lane = this.lane(priority);
      lane.cursor = head;
      lane.count = count;
      lane.bytes = bytes;
    }
    [this.deadLetterNextOrdinal, this.deadLetterCount, this.deadLetterBytes] = counters.deadLetters;
  }

  async #loadStreams(store: KeyValueStore): Promise<void> {
    let from: string = STREAMS.gte;
    for (;;) {
      const page = await store.range({ gte: from, lt: STREAMS.lt, limit: PAGE });
      this.streams.load(page);
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) return;
      from = streamKey(Number.parseInt(last[0].slice(2), 36) + 1);
    }
  }

  /** Counts what was appended after the books were written last. */
  async #countNewer(store: KeyValueStore, lane: Lane, counted: number): Promise<void> {
    let from = counted;
    for (;;) {
      const page = await store.range({
        gte: updateKey(lane.priority, from),
        lt: laneEnd(lane.priority),
        limit: PAGE,
        bytesMax: PAGE_BYTES_MAX,
      });
      for (const [key, value] of page) {
        const { ordinal } = parseUpdateKey(key);
        if (lane.count === 0) lane.cursor = ordinal;
        lane.count++;
        lane.bytes += key.length + value.length;
        this.nextOrdinal = Math.max(this.nextOrdinal, ordinal + 1);
        from = ordinal + 1;
        this.#advanceStream(value, ordinal, lane.priority);
      }
      if (page.length === 0) return;
    }
  }

  /** Only where the books are missing or unreadable. */
  async #countDeadLetters(store: KeyValueStore): Promise<void> {
    const entries = await store.range({ ...DEAD_LETTERS, limit: Number.MAX_SAFE_INTEGER });
    for (const [key, value] of entries) {
      this.deadLetterCount++;
      this.deadLetterBytes += key.length + value.length;
      this.deadLetterNextOrdinal = Number.parseInt(key.slice(2), 36) + 1;
    }
  }

  #advanceStream(value: Uint8Array, ordinal: number, priority: number): void {
    try {
      const record = decodeRecord(value);
      const stream = this.streams.byId(record.streamId);
      if (stream === undefined || record.sequence <= stream.sequence) return;
      stream.priority = priority;
      this.streams.advance(stream, record.sequence, ordinal);
    } catch {
      // A record that can't be read is set aside, with a notice, when its turn to leave comes.
    }
  }
}

/** @returns undefined where there are none, or none that can be read: then everything is counted anew. */
function parseCounters(value: Uint8Array | undefined): Counters | undefined {
  if (value === undefined) return undefined;
  try {
    return JSON.parse(Buffer.from(value).toString("utf8")) as Counters;
  } catch {
    return undefined;
  }
}

interface Boots {
  readonly boot: number;
  readonly names: Map<number, string>;
  readonly isNew: boolean;
}

/** Only reads: an agent must be able to start, and to send, while its disk is full. */
async function loadBoots(store: KeyValueStore, bootId: string): Promise<Boots> {
  const value = await store.get(BOOTS_KEY);
  const known: [number, string][] =
    value === undefined ? [] : JSON.parse(Buffer.from(value).toString("utf8"));
  const names = new Map(known);
  const last = known.at(-1);
  if (last !== undefined && last[1] === bootId) return { boot: last[0], names, isNew: false };
  const boot = (last?.[0] ?? 0) + 1;
  names.set(boot, bootId);
  for (const old of names.keys()) {
    if (names.size <= BOOTS_MAX) break;
    names.delete(old);
  }
  return { boot, names, isNew: true };
}
