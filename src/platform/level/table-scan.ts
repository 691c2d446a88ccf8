import { crc32c, masked } from "./crc32c.ts";
import { unsnappy } from "./snappy.ts";

// LevelDB, doc/table_format.md.
const FOOTER_BYTES = 48;
const MAGIC = Buffer.from([0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb]);
const TRAILER_BYTES = 5;
const SNAPPY = 1;
/** Sequence and type behind every key. */
const KEY_SUFFIX_BYTES = 8;
const BATCH_HEADER_BYTES = 12;

/** What a LevelDB table holds. */
export interface TableScan {
  /** What is wrong with it, in words; absent when every checksum is right. */
  readonly damage?: string;
  /** A damaged table's readable entries, each as a batch for a log (`encodeLog`), which keeps its sequence. */
  readonly records: readonly Buffer[];
}

/** Checks every block of a table: LevelDB itself would take a damaged one for data, or abort the process. */
export function scanTable(table: Buffer): TableScan {
  const blocks: Buffer[] = [];
  let damage: string | undefined;
  try {
    for (const handle of dataBlocks(table)) {
      try {
        blocks.push(blockAt(table, handle));
      } catch (error) {
        damage ??= words(error);
      }
    }
  } catch (error) {
    damage = words(error);
  }
  if (damage === undefined) return { records: [] };
  const records: Buffer[] = [];
  for (const block of blocks) for (const entry of entriesOf(block)) records.push(asBatch(entry));
  return { damage, records };
}

interface Handle {
  readonly offset: number;
  readonly size: number;
}

interface Entry {
  readonly key: Buffer;
  readonly value: Buffer;
}

function dataBlocks(table: Buffer): Handle[] {
  const footer = table.subarray(-FOOTER_BYTES);
  if (footer.length < FOOTER_BYTES || !footer.subarray(-MAGIC.length).equals(MAGIC))
    throw new RangeError("it does not end as a table does");
  const [, afterMeta] = handleAt(footer, 0);
  const [index] = handleAt(footer, afterMeta);
  return entriesOf(blockAt(table, index)).map(({ value }) => handleAt(value, 0)[0]);
}

/** @throws RangeError when the block is not what was written. */
function blockAt(table: Buffer, { offset, size }: Handle): Buffer {
  const end = offset + size;
  if (end + TRAILER_BYTES > table.length) throw new RangeError("a block lies behind its end");
  if (table.readUInt32LE(end + 1) !== masked(crc32c(table, offset, end + 1)))
    throw new RangeError(`the block at byte ${offset} does not match its checksum`);
  const data = table.subarray(offset, end);
  return table.readUInt8(end) === SNAPPY ? unsnappy(data) : data;
}

/** @throws RangeError when the block has another form. */
function entriesOf(block: Buffer): Entry[] {
  const restarts = block.readUInt32LE(block.length - 4);
  const end = block.length - 4 * (restarts + 1);
  const entries: Entry[] = [];
  let key: Buffer = Buffer.alloc(0);
  let at = 0;
  while (at < end) {
    const [shared, afterShared] = varintAt(block, at);
    const [added, afterAdded] = varintAt(block, afterShared);
    const [length, from] = varintAt(block, afterAdded);
    key = Buffer.concat([key.subarray(0, shared), block.subarray(from, from + added)]);
    at = from + added + length;
    entries.push({ key, value: block.subarray(from + added, at) });
  }
  return entries;
}

/** One entry as the batch that once wrote it. */
function asBatch({ key, value }: Entry): Buffer {
  const suffix = key.subarray(-KEY_SUFFIX_BYTES);
  const name = key.subarray(0, -KEY_SUFFIX_BYTES);
  const header = Buffer.alloc(BATCH_HEADER_BYTES + 1);
  // The type is the lowest byte; the sequence lies above it.
  suffix.copy(header, 0, 1);
  header.writeUInt32LE(1, 8);
  const isPut = suffix[0] === 1;
  header.writeUInt8(isPut ? 1 : 0, BATCH_HEADER_BYTES);
  const parts = [header, varint(name.length), name];
  return Buffer.concat(isPut ? [...parts, varint(value.length), value] : parts);
}

function handleAt(bytes: Buffer, at: number): [Handle, number] {
  const [offset, afterOffset] = varintAt(bytes, at);
  const [size, end] = varintAt(bytes, afterOffset);
  return [{ offset, size }, end];
}

function varintAt(bytes: Buffer, at: number): [number, number] {
  let value = 0;
  for (let digit = 0; digit < 8; digit++) {
    const byte = bytes.readUInt8(at + digit);
    value += (byte & 0x7f) * 0x80 ** digit;
    if (byte < 0x80) return [value, at + digit + 1];
  }
  throw new RangeError("a number is too long");
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest & 0x7f) | 0x80);
  return Buffer.from([...bytes, rest]);
}

function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
