import { crc32c, masked } from "./crc32c.ts";

// LevelDB, doc/log_format.md: blocks of 32 KiB; checksum (4), length (2), type (1), then the data.
const BLOCK_BYTES = 32_768;
const HEADER_BYTES = 7;
const FULL = 1;
const FIRST = 2;
const LAST = 4;

/** What a LevelDB log holds. */
export interface LogScan {
  /** Every batch that is whole, in order. */
  readonly records: readonly Buffer[];
  /**
   * Damage in what was written, in words. A log that merely ends too early has none: that is what a crash
   * leaves of a write which nobody was thanked for.
   */
  readonly damage?: string;
}

interface Fragment {
  readonly type: number;
  readonly data: Buffer;
  readonly end: number;
}

/** Reads a log as LevelDB does, but finds its way back behind damage at the next whole record. */
export function scanLog(log: Buffer): LogScan {
  const records: Buffer[] = [];
  let parts: Buffer[] | undefined;
  let damage: string | undefined;
  let at = 0;
  while (at < log.length) {
    const room = BLOCK_BYTES - (at % BLOCK_BYTES);
    if (room < HEADER_BYTES) {
      at += room;
      continue;
    }
    let fragment = fragmentAt(log, at);
    if (fragment === undefined) {
      fragment = lastFragment(log, at);
      if (fragment !== undefined)
        damage ??= `the length of the last record, at byte ${at}, is damaged`;
    }
    if (fragment === undefined) {
      const next = nextFragment(log, at + 1);
      if (next === undefined && isUnfinished(log, at)) break;
      damage ??= `a record at byte ${at} of ${log.length} does not match its checksum`;
      parts = undefined;
      if (next === undefined) break;
      at = next;
      continue;
    }
    at = fragment.end;
    if (fragment.type === FULL || fragment.type === FIRST) {
      if (parts !== undefined) damage ??= `a record before byte ${at} has no end`;
      parts = [];
    } else if (parts === undefined) {
      damage ??= `a record before byte ${at} has no beginning`;
      continue;
    }
    parts.push(fragment.data);
    if (fragment.type !== FULL && fragment.type !== LAST) continue;
    records.push(parts.length === 1 ? fragment.data : Buffer.concat(parts));
    parts = undefined;
  }
  return damage === undefined ? { records } : { records, damage };
}

/** @returns a log of these records. */
export function encodeLog(records: readonly Buffer[]): Buffer {
  const pieces: Buffer[] = [];
  let at = 0;
  for (const record of records) {
    let from = 0;
    do {
      let room = BLOCK_BYTES - (at % BLOCK_BYTES);
      if (room < HEADER_BYTES) {
        pieces.push(Buffer.alloc(room));
        at += room;
        room = BLOCK_BYTES;
      }
      const length = Math.min(record.length - from, room - HEADER_BYTES);
      const first = from === 0;
      const last = from + length === record.length;
      const type = first ? (last ? FULL : FIRST) : last ? LAST : 3;
      const piece = Buffer.allocUnsafe(HEADER_BYTES + length);
      piece.writeUInt16LE(length, 4);
      piece.writeUInt8(type, 6);
      record.copy(piece, HEADER_BYTES, from, from + length);
      piece.writeUInt32LE(masked(crc32c(piece, 6, piece.length)), 0);
      pieces.push(piece);
      at += piece.length;
      from += length;
    } while (from < record.length);
  }
  return Buffer.concat(pieces);
}

function fragmentAt(log: Buffer, at: number): Fragment | undefined {
  const blockEnd = Math.min(log.length, at - (at % BLOCK_BYTES) + BLOCK_BYTES);
  if (at + HEADER_BYTES > blockEnd) return undefined;
  const type = log.readUInt8(at + 6);
  if (type < FULL || type > LAST) return undefined;
  const begin = at + HEADER_BYTES;
  const end = begin + log.readUInt16LE(at + 4);
  if (end > blockEnd) return undefined;
  if (log.readUInt32LE(at) !== masked(crc32c(log, at + 6, end))) return undefined;
  return { type, data: log.subarray(begin, end), end };
}

/**
 * A length that says too much looks like a write that was cut short, which nobody was thanked for. Where the
 * checksum fits everything up to the end, it is the length that is wrong, and the record is whole.
 */
function lastFragment(log: Buffer, at: number): Fragment | undefined {
  const blockEnd = at - (at % BLOCK_BYTES) + BLOCK_BYTES;
  const end = log.length;
  if (at + HEADER_BYTES > end || end > blockEnd) return undefined;
  const type = log.readUInt8(at + 6);
  if (type < FULL || type > LAST) return undefined;
  if (log.readUInt32LE(at) !== masked(crc32c(log, at + 6, end))) return undefined;
  return { type, data: log.subarray(at + HEADER_BYTES, end), end };
}

/** @returns where the next whole fragment begins, however little of the headers before it is right. */
function nextFragment(log: Buffer, from: number): number | undefined {
  for (let at = from; at + HEADER_BYTES <= log.length; at++)
    if (fragmentAt(log, at) !== undefined) return at;
  return undefined;
}

/** Whether the log just stops here: the record goes past the end, or only room for it was made. */
function isUnfinished(log: Buffer, at: number): boolean {
  const rest = log.subarray(at);
  if (rest.length < HEADER_BYTES || rest.every((byte) => byte === 0)) return true;
  return HEADER_BYTES + rest.readUInt16LE(4) > rest.length;
}
