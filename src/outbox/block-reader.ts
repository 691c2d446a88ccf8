import type { StoreEntry } from "../platform/key-value-store.ts";
import type { Block, BlockHeader, BlockRecord } from "./block.ts";
import { decodeBlock } from "./block-codec.ts";
import { Entry } from "./entry.ts";
import { parseUpdateKey } from "./keys.ts";
import type { Lane } from "./lane.ts";
import type { StreamTable } from "./stream-table.ts";

/** A block as it lies on disk. */
export interface StoredBlock {
  readonly block: Block;
  /** One past its last ordinal. */
  readonly until: number;
  /** What has not left; empty where the block can not be read. */
  readonly records: readonly BlockRecord[];
  /** Absent where the block can not be read. */
  readonly header?: BlockHeader;
}

/** Reads a block and leaves out what has left already. Never throws: a damaged block has no header. */
export function readBlock([key, value]: StoreEntry, lane: Pick<Lane, "isGone">): StoredBlock {
  const { priority, ordinal: first } = parseUpdateKey(key);
  const bytes = key.length + value.length;
  try {
    const { records: all, ...header } = decodeBlock(value, first);
    const records = all.filter(({ ordinal }) => !lane.isGone(ordinal));
    const until = (all.at(-1)?.ordinal ?? first) + 1;
    return { block: { priority, first, bytes, live: records.length }, until, records, header };
  } catch {
    return { block: { priority, first, bytes, live: 0 }, until: first + 1, records: [] };
  }
}

/** What the numbers in a block stand for. */
export interface BlockNames {
  readonly streams: Pick<StreamTable, "byId">;
  bootName(boot: number): string;
}

/** @returns the updates of a block; undefined when one of them is of a stream that nobody knows. */
export function entriesOf(
  { block, records, header }: StoredBlock,
  names: BlockNames,
  agentId: string,
): Entry[] | undefined {
  if (header === undefined) return undefined;
  const bootId = names.bootName(header.boot);
  const entries: Entry[] = [];
  for (const record of records) {
    const stream = names.streams.byId(record.streamId);
    if (stream === undefined) return undefined;
    const entry = new Entry(agentId, { stream: stream.name, priority: block.priority }, record);
    entry.sequence = record.sequence;
    entry.ordinal = record.ordinal;
    entry.bootId = bootId;
    entry.observedAtMs = header.observedAtMs;
    entry.observedAtTrusted = header.observedAtTrusted;
    entry.monotonicMs = header.monotonicMs;
    entry.block = block;
    entries.push(entry);
  }
  return entries;
}
