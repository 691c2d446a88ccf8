import type { StoreOperation } from "../platform/key-value-store.ts";
import { keyOfBlock } from "./block.ts";
import { BlockWriter } from "./block-codec.ts";
import type { Entry, NumberedBlock } from "./entry.ts";
import type { Ledger } from "./ledger.ts";
import type { OutboxParts } from "./parts.ts";
import { type StreamState, writeStream } from "./stream-table.ts";

/** What one commit adds to the queue. */
export interface Numbered {
  readonly blocks: readonly NumberedBlock[];
  /** The newest update of each state-like key. */
  readonly latest: ReadonlyMap<string, number>;
}

/** So many bytes of updates end a block: what is read, rewritten or dropped at once stays small. */
const BLOCK_BYTES_MAX = 128 * 1024;
/** …and this part of the quota, so that making room for one update does not cost half of a small outbox. */
const BLOCKS_IN_QUOTA_MIN = 64;

/** Numbers what is admitted, and makes the blocks of one commit. */
export class Numbering {
  readonly #parts: Pick<OutboxParts, "clock" | "options">;
  readonly #writers = new Map<number, BlockWriter>();

  constructor(parts: Pick<OutboxParts, "clock" | "options">) {
    this.#parts = parts;
  }

  /**
   * Numbers updates in their order and adds their writes to `operations`. Numbers are given at commit and
   * not before, so that a commit that fails leaves no gap.
   */
  number(appends: readonly Entry[], ledger: Ledger, operations: StoreOperation[]): Numbered {
    const { clock, options } = this.#parts;
    const latest = new Map<string, number>();
    if (appends.length === 0) return { blocks: [], latest };
    const header = {
      boot: ledger.boot,
      observedAtMs: clock.wallMs(),
      observedAtTrusted: clock.wallTrusted(),
      monotonicMs: clock.monotonicMs(),
      thinned: 0,
    };
    const { bootId } = clock;
    const bytesMax = Math.min(BLOCK_BYTES_MAX, options.bytesMax / BLOCKS_IN_QUOTA_MIN);
    const blocks: NumberedBlock[] = [];
    const open = new Map<number, Entry[]>();
    const finish = (priority: number, entries: readonly Entry[], writer: BlockWriter): void => {
      const value = writer.finish(header, options.compress);
      const place = { priority, first: writer.first };
      const key = keyOfBlock(place);
      operations.push({ type: "put", key, value });
      const block = { ...place, bytes: key.length + value.length, live: entries.length };
      for (const entry of entries) entry.block = block;
      blocks.push({ block, entries });
    };
    for (const entry of appends) {
      const stream = streamOf(entry, ledger, operations);
      entry.ordinal = ledger.nextOrdinal++;
      entry.priority = lanePriority(stream, entry.priority, ledger);
      entry.sequence = stream.sequence + 1;
      entry.bootId = bootId;
      entry.observedAtMs = header.observedAtMs;
      entry.observedAtTrusted = header.observedAtTrusted;
      entry.monotonicMs = header.monotonicMs;
      ledger.streams.advance(stream, entry.sequence, entry.ordinal);
      const name = entry.key === undefined ? undefined : ledger.latest.nameOf(stream.id, entry.key);
      if (name !== undefined) latest.set(name, entry.ordinal);
      const { priority } = entry;
      const writer = this.#writer(priority);
      let entries = open.get(priority);
      if (entries !== undefined && writer.bytes + entry.payload.length > bytesMax) {
        finish(priority, entries, writer);
        entries = undefined;
      }
      if (entries === undefined) {
        writer.start(entry.ordinal);
        entries = [];
        open.set(priority, entries);
      }
      writer.add(entry, stream.id);
      entries.push(entry);
    }
    for (const [priority, entries] of open) finish(priority, entries, this.#writer(priority));
    operations.push(...ledger.latest.write(latest));
    return { blocks, latest };
  }

  #writer(priority: number): BlockWriter {
    let writer = this.#writers.get(priority);
    if (writer === undefined) {
      writer = new BlockWriter();
      this.#writers.set(priority, writer);
    }
    return writer;
  }
}

function streamOf(entry: Entry, ledger: Ledger, operations: StoreOperation[]): StreamState {
  const known = ledger.streams.byName(entry.stream);
  if (known !== undefined) return known;
  const stream = ledger.streams.add(entry.stream, entry.priority);
  operations.push(writeStream(stream));
  return stream;
}

/** A stream moves to another priority only when nothing of it waits, or is being written, at the old one. */
function lanePriority(stream: StreamState, priority: number, ledger: Ledger): number {
  if (stream.priority === priority) return stream.priority;
  const lane = ledger.lane(stream.priority);
  const drained =
    stream.lastOrdinal < lane.end && (lane.count === 0 || lane.head > stream.lastOrdinal);
  if (drained) stream.priority = priority;
  return stream.priority;
}
