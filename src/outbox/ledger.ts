import type { KeyValueStore, StoreOperation } from "../platform/key-value-store.ts";
import { readBlock } from "./block-reader.ts";
import { type Books, booksOf, readBooks, writeBooks } from "./books.ts";
import { type Boots, loadBoots, nameBoots } from "./boots.ts";
import type { NumberedBlock } from "./entry.ts";
import { DEAD_LETTERS, LANES, LATEST, laneEnd, STREAMS, updateKey } from "./keys.ts";
import { Lane } from "./lane.ts";
import { LatestTable } from "./latest-table.ts";
import { LeftScan } from "./left-scan.ts";
import { StreamTable } from "./stream-table.ts";

/** More than a stream has in its life, so that no repair gives a number out again. */
export const SEQUENCES_PER_GENERATION = 2 ** 40;
const ORDINALS_PER_GENERATION = 2 ** 40;
/** More than streams and boots are ever kept. */
const IDS_PER_GENERATION = 2 ** 20;
const PAGE = 2_000;
const PAGE_BYTES_MAX = 1024 * 1024;

/**
 * The books of the outbox: what is in it, in numbers. They are written together with every removal and
 * every few thousand additions, so that opening an outbox with a million updates reads a few thousand.
 */
export class Ledger {
  readonly lanes: readonly Lane[];
  readonly streams = new StreamTable();
  readonly latest = new LatestTable();
  /** The store's generation when it was read. */
  readonly generation: number;
  nextOrdinal = 1;
  deadLetterNextOrdinal = 1;
  deadLetterCount = 0;
  deadLetterBytes = 0;
  /** Number of this boot in records. */
  readonly boot: number;
  readonly #boots: Boots;
  #bootUnnamed: boolean;

  private constructor(boots: Boots, generation: number) {
    this.generation = generation;
    this.boot = boots.boot;
    this.#boots = boots;
    this.#bootUnnamed = boots.isNew;
    this.lanes = Array.from({ length: LANES }, (_, priority) => new Lane(priority));
  }

  /** Reads the books and brings them up to date. @throws StoreError */
  static async load(store: KeyValueStore, bootId: string): Promise<Ledger> {
    const { generation } = store;
    const ledger = new Ledger(
      await loadBoots(store, bootId, generation * IDS_PER_GENERATION),
      generation,
    );
    for await (const page of pages(store, STREAMS)) ledger.streams.load(page);
    const books = await readBooks(store);
    // After a repair the books may tell of what is not there any more.
    const holds = books !== undefined && books.generation === generation;
    if (holds) ledger.#take(books);
    else await ledger.#countDeadLetters(store);
    const counted = holds ? ledger.nextOrdinal : 0;
    ledger.nextOrdinal = Math.max(
      ledger.nextOrdinal,
      books?.nextOrdinal ?? 1,
      generation * ORDINALS_PER_GENERATION,
    );
    for (const lane of ledger.lanes) await ledger.#countNewer(store, lane, counted);
    ledger.streams.raise(generation * SEQUENCES_PER_GENERATION, generation * IDS_PER_GENERATION);
    let head = ledger.nextOrdinal;
    for (const lane of ledger.lanes) {
      lane.end = ledger.nextOrdinal;
      if (lane.count === 0) {
        lane.cursor = lane.end;
        lane.unread = lane.end;
      } else head = Math.min(head, lane.cursor);
    }
    for await (const page of pages(store, LATEST)) ledger.latest.load(page, head);
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

  get readyBytes(): number {
    let sum = 0;
    for (const lane of this.lanes) sum += lane.readyBytes;
    return sum;
  }

  /**
   * Streams whose newest update has not left its lane behind, with the sequence that each was given last. Among them
   * may be one whose updates have all left, out of order.
   */
  waitingStreams(limit: number, priorityMin: number): ReadonlyMap<string, number> {
    const found = new Map<string, number>();
    for (const { name, sequence, priority, lastOrdinal } of this.streams.all()) {
      if (found.size >= limit) break;
      const lane = this.lane(priority);
      if (priority >= priorityMin && lane.count > 0 && lastOrdinal >= lane.head)
        found.set(name, sequence);
    }
    return found;
  }

  bootName(boot: number): string {
    return this.#boots.names.get(boot) ?? "forgotten";
  }

  /** @returns the write that names this boot, until it was asked for; records refer to that name. */
  takeBootName(): StoreOperation[] {
    if (!this.#bootUnnamed) return [];
    this.#bootUnnamed = false;
    return [nameBoots(this.#boots)];
  }

  /**
   * @param uncounted what the batch appends: on disk after it, and not counted by the lanes yet
   * @returns the writes that bring the books on disk up to date; they belong into one atomic batch.
   */
  write(uncounted: readonly NumberedBlock[]): StoreOperation[] {
    return [
      ...this.streams.takeDirty(),
      ...this.latest.takeDelivered(),
      writeBooks(booksOf(this, uncounted)),
    ];
  }

  /**
   * Takes over from the books as they were in memory before a write failed and these were read back: what is
   * under way, and what has left without the disk knowing of it. What happens to the old books while the disk
   * is being read counts too. @throws StoreError
   */
  async carryOver(current: () => Ledger, store: KeyValueStore): Promise<void> {
    const scans = this.lanes.map((lane) => new LeftScan(lane));
    for (let complete = false; !complete; ) {
      for (const scan of scans) await scan.read(store, current().lane(scan.lane.priority));
      complete = scans.every((scan) => scan.isComplete(current().lane(scan.lane.priority)));
    }
    for (const scan of scans) {
      const { lane } = scan;
      const before = current().lane(lane.priority);
      scan.forgetLeft(before);
      // After a repair, what is under way may not be on disk any more: it is sent again as far as it is.
      if (this.generation === current().generation) lane.carryOver(before);
      else lane.takeGone(before);
      this.nextOrdinal = Math.max(this.nextOrdinal, before.end);
    }
    for (const lane of this.lanes) lane.end = this.nextOrdinal;
  }

  #take(books: Books): void {
    this.nextOrdinal = books.nextOrdinal;
    for (const { priority, head, count, bytes, headBlock, gone } of books.lanes) {
      const lane = this.lane(priority);
      lane.cursor = head;
      lane.unread = headBlock;
      lane.count = count;
      lane.bytes = bytes;
      for (const ordinal of gone) lane.gone.add(ordinal);
    }
    [this.deadLetterNextOrdinal, this.deadLetterCount, this.deadLetterBytes] = books.deadLetters;
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
      for (const stored of page) {
        const { block, until, records } = readBlock(stored, { isGone: () => false });
        if (lane.count === 0) {
          lane.cursor = block.first;
          lane.unread = block.first;
        }
        lane.count += records.length;
        lane.bytes += block.bytes;
        this.nextOrdinal = Math.max(this.nextOrdinal, until);
        from = until;
        for (const { streamId, sequence, ordinal } of records) {
          const stream = this.streams.byId(streamId);
          if (stream === undefined || sequence <= stream.sequence) continue;
          stream.priority = lane.priority;
          this.streams.advance(stream, sequence, ordinal);
        }
      }
      if (page.length === 0) return;
    }
  }

  /** Only where the books are missing or unreadable. */
  async #countDeadLetters(store: KeyValueStore): Promise<void> {
    for await (const page of pages(store, DEAD_LETTERS))
      for (const [key, value] of page) {
        this.deadLetterCount++;
        this.deadLetterBytes += key.length + value.length;
        this.deadLetterNextOrdinal = Number.parseInt(key.slice(2), 36) + 1;
      }
  }
}

async function* pages(store: KeyValueStore, { gte, lt }: { gte: string; lt: string }) {
  let from = gte;
  for (;;) {
    const page = await store.range({ gte: from, lt, limit: PAGE, bytesMax: PAGE_BYTES_MAX });
    const last = page.at(-1);
    if (last === undefined) return;
    yield page;
    from = `${last[0]}!`;
  }
}
