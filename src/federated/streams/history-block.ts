import { constants, crc32, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { DataError } from "../data/data-error.ts";

/** Points of a block that is full. */
export const BLOCK_POINTS = 256;
/** Bytes before what is compressed. */
export const BLOCK_HEADER_BYTES = 24;

/** "AMH" and the version. */
const MAGIC = 0x414d4801;
const LEVEL = { [constants.ZSTD_c_compressionLevel]: 3 };
const MASK = 0xffff_ffff;

/** Points that follow each other in a history. */
export interface HistoryBlock {
  readonly columns: number;
  /** Step of the grid of each, ascending. */
  readonly slots: Float64Array;
  /** A row of `columns` values for each. */
  readonly values: Float32Array;
}

/**
 * The form on disk: magic (big endian), then little-endian CRC-32 of all that follows, columns (uint16), points (uint16), the
 * first slot (float64), four bytes of zero, and a zstd frame of the distances between slots (uint32), and column by
 * column each value's bits XOR those of the value before it (Pelkonen et al. 2015, Gorilla), first bytes first.
 *
 * @throws DataError `data.too-large` for more than {@link BLOCK_POINTS} points
 */
export function encodeBlock({ columns, slots, values }: HistoryBlock): Uint8Array {
  const points = slots.length;
  if (points < 1 || points > BLOCK_POINTS)
    throw new DataError("data.too-large", `a block of ${points} points, 1 to ${BLOCK_POINTS}`);
  const plain = new Uint8Array(4 * points * (columns + 1));
  for (let at = 1; at < points; at++) {
    const distance = (slots[at] as number) - (slots[at - 1] as number);
    // Longer silences than 2³² steps are as long as any gap has to be.
    putWord(plain, points, at, Math.min(MASK, distance));
  }
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let column = 0; column < columns; column++) {
    let before = 0;
    for (let at = 0; at < points; at++) {
      const word = bits[at * columns + column] as number;
      putWord(plain, points, (column + 1) * points + at, (word ^ before) >>> 0);
      before = word;
    }
  }
  const packed = zstdCompressSync(plain, { params: LEVEL });
  const block = new Uint8Array(BLOCK_HEADER_BYTES + packed.length);
  block.set(packed, BLOCK_HEADER_BYTES);
  const view = new DataView(block.buffer);
  view.setUint32(0, MAGIC);
  view.setUint16(8, columns, true);
  view.setUint16(10, points, true);
  view.setFloat64(12, slots[0] as number, true);
  view.setUint32(4, crc32(block.subarray(8)), true);
  return block;
}

/** @param columns how many there have to be @throws DataError `data.format` for anything that is no such block, or damaged */
export function decodeBlock(block: Uint8Array, columns: number): HistoryBlock {
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
  if (block.length <= BLOCK_HEADER_BYTES || view.getUint32(0) !== MAGIC)
    throw broken("it does not begin as one");
  if (view.getUint32(4, true) !== crc32(block.subarray(8))) throw broken("its checksum differs");
  const points = view.getUint16(10, true);
  const first = view.getFloat64(12, true);
  if (view.getUint16(8, true) !== columns) throw broken(`it has not ${columns} columns`);
  if (points < 1 || points > BLOCK_POINTS || !Number.isSafeInteger(first) || first < 0)
    throw broken("its header can not be");
  const plain = unpacked(block.subarray(BLOCK_HEADER_BYTES), 4 * points * (columns + 1));
  const slots = new Float64Array(points);
  slots[0] = first;
  for (let at = 1; at < points; at++) {
    const distance = wordAt(plain, points, at);
    if (distance === 0) throw broken("its points do not ascend");
    slots[at] = (slots[at - 1] as number) + distance;
  }
  const values = new Float32Array(points * columns);
  const bits = new Uint32Array(values.buffer);
  for (let column = 0; column < columns; column++) {
    let word = 0;
    for (let at = 0; at < points; at++) {
      word = (word ^ wordAt(plain, points, (column + 1) * points + at)) >>> 0;
      bits[at * columns + column] = word;
    }
  }
  return { columns, slots, values };
}

/** Words lie in runs of `points`; within a run the highest bytes of all come first, then the next. */
function putWord(plain: Uint8Array, points: number, place: number, word: number): void {
  const at = placeOf(points, place);
  plain[at] = word >>> 24;
  plain[at + points] = (word >>> 16) & 0xff;
  plain[at + 2 * points] = (word >>> 8) & 0xff;
  plain[at + 3 * points] = word & 0xff;
}

function wordAt(plain: Uint8Array, points: number, place: number): number {
  const at = placeOf(points, place);
  const byte = (plane: number): number => plain[at + plane * points] as number;
  return ((byte(0) << 24) | (byte(1) << 16) | (byte(2) << 8) | byte(3)) >>> 0;
}

function placeOf(points: number, place: number): number {
  const run = Math.floor(place / points);
  return run * 4 * points + (place - run * points);
}

function unpacked(packed: Uint8Array, length: number): Uint8Array {
  let plain: Uint8Array;
  try {
    plain = zstdDecompressSync(packed, { maxOutputLength: length });
  } catch (error) {
    throw broken("it can not be unpacked", error);
  }
  if (plain.length !== length) throw broken(`${plain.length} bytes, not ${length}`);
  return plain;
}

function broken(why: string, cause?: unknown): DataError {
  return new DataError("data.format", `this is no block of a history: ${why}`, { cause });
}
