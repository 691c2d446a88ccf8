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

  private constructor(boot: number, boots: Map<number, string>) {
    this.boot = boot;
    this.#boots = boots;
    this.lanes = Array.from({ length: LANES }, (_, priority) => new Lane(priority));
  }

  /** Reads the books and brings them up to date. @throws StoreError */
  static async load(store: KeyValueStore, bootId: string): Promise<Ledger> {
    const { boot, boots } = await loadBoots(store, bootId);
    const ledger = new Ledger(boot, boots);
    await ledger.#loadStreams(store);
    const counters = parseCounters(await store.get(COUNTERS_KEY));
    if (counters === undefined) await ledger.#countDeadLetters(store);
    else ledger.#takeCounters(counters);
    const counted = ledger.nextOrdinal;
    for (const lane of ledger.lanes) await ledger.#countNewer(store, lane, counted);
    for (const lane of ledger.lanes) {
      if (lane.count === 0) lane.cursor = ledger.nextOrdinal;
      lane.cachedFrom = ledger.nextOrdinal;
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
    return this.lanes.reduce((sum, lane) => sum + lane.bytes, 0);
  }

  get cachedBytes(): number {
    return this.lanes.reduce((sum, lane) => sum + lane.cachedBytes, 0);
  }

  bootName(boot: number): string {
    return this.#boots.get(boot) ?? "forgotten";
  }

  /**
   * @param added what the same batch appends and the lanes do not count yet
   * @returns the writes that bring the books on disk up to date; they belong into one atomic batch.
   */
  write(added: readonly QueuedUpdate[]): StoreOperation[] {
    const counts = this.lanes.map(({ count, bytes }) => ({ count, bytes }));
    for (const queued of added) {
      const lane = counts[queued.update.priority];
      if (lane === undefined) continue;
      lane.count++;
      lane.bytes += queued.bytes;
    }
    const counters: Counters = {
      nextOrdinal: this.nextOrdinal,
      lanes: this.lanes.flatMap(({ priority, head }) => {
        const { count, bytes } = counts[priority] ?? { count: 0, bytes: 0 };
        return count === 0 ? [] : [[priority, head, count, bytes] as const];
      }),
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
      });
      for (const [key, value] of page) {
        const { ordinal } = parseUpdateKey(key);
        if (lane.count === 0) lane.cursor = ordinal;
        lane.count++;
        lane.bytes += key.length + value.length;
        this.nextOrdinal = Math.max(this.nextOrdinal, ordinal + 1);
        from = ordinal + 1;
        this.#advanceStream(value, ordinal);
      }
      if (page.length < PAGE) return;
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

  #advanceStream(value: Uint8Array, ordinal: number): void {
    try {
      const record = decodeRecord(value);
      const stream = this.streams.byId(record.streamId);
      if (stream !== undefined && record.sequence > stream.sequence)
        this.streams.advance(stream, record.sequence, Math.max(ordinal, stream.lastOrdinal));
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

async function loadBoots(
  store: KeyValueStore,
  bootId: string,
): Promise<{ boot: number; boots: Map<number, string> }> {
  const value = await store.get(BOOTS_KEY);
  const known: [number, string][] =
    value === undefined ? [] : JSON.parse(Buffer.from(value).toString("utf8"));
  const boots = new Map(known);
  const last = known.at(-1);
  if (last !== undefined && last[1] === bootId) return { boot: last[0], boots };
  const boot = (last?.[0] ?? 0) + 1;
  boots.set(boot, bootId);
  for (const old of boots.keys()) {
    if (boots.size <= BOOTS_MAX) break;
    boots.delete(old);
  }
  await store.write(
    [{ type: "put", key: BOOTS_KEY, value: Buffer.from(JSON.stringify([...boots])) }],
    { durable: true },
  );
  return { boot, boots };
}
