import type { Entry, EntryKind, Proposal } from "../raft/entry.ts";

const KINDS: readonly EntryKind[] = ["normal", "change-v1", "change-v2"];
/** A safe integer has 53 bits. */
const VARINT_BYTES_MAX = 8;
const HEAD_BYTES_MAX = 2 * VARINT_BYTES_MAX + 1;

/** Entries or proposals one after the other, as they travel and as they are stored; see `raft.proto`. */
export function encodeEntries(
  entries: readonly (Proposal & { readonly term?: number })[],
): Uint8Array {
  let bytesMax = 0;
  for (const { data } of entries) bytesMax += HEAD_BYTES_MAX + data.length;
  const bytes = new Uint8Array(bytesMax);
  let at = 0;
  for (const { term = 0, kind, data } of entries) {
    at = putVarint(bytes, at, term);
    bytes[at++] = KINDS.indexOf(kind);
    at = putVarint(bytes, at, data.length);
    bytes.set(data, at);
    at += data.length;
  }
  return bytes.subarray(0, at);
}

/**
 * Reads what {@link encodeEntries} wrote. Data are views of `bytes`.
 * @param firstIndex of the first one; those behind it follow without gaps
 * @returns undefined when it is malformed, or more than `entriesMax`; never throws
 */
export function decodeEntries(
  bytes: Uint8Array,
  firstIndex: number,
  entriesMax: number,
): readonly Entry[] | undefined {
  const entries: Entry[] = [];
  const cursor = { at: 0 };
  while (cursor.at < bytes.length) {
    const term = takeVarint(bytes, cursor);
    const kind = KINDS[bytes[cursor.at++] ?? KINDS.length];
    const length = takeVarint(bytes, cursor);
    if (term === undefined || kind === undefined || length === undefined) return undefined;
    const end = cursor.at + length;
    if (end > bytes.length || entries.length === entriesMax) return undefined;
    entries.push({
      term,
      index: firstIndex + entries.length,
      kind,
      data: bytes.subarray(cursor.at, end),
    });
    cursor.at = end;
  }
  return entries;
}

/** LEB128, by arithmetic since numbers may have more than 32 bits. @returns where the next one goes */
function putVarint(bytes: Uint8Array, from: number, value: number): number {
  let at = from;
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 0x80)) bytes[at++] = (rest % 0x80) | 0x80;
  bytes[at++] = rest;
  return at;
}

function takeVarint(bytes: Uint8Array, cursor: { at: number }): number | undefined {
  let value = 0;
  let weight = 1;
  for (let count = 0; count < VARINT_BYTES_MAX; count++, weight *= 0x80) {
    const byte = bytes[cursor.at++];
    if (byte === undefined) return undefined;
    value += (byte & 0x7f) * weight;
    if (byte < 0x80) return Number.isSafeInteger(value) ? value : undefined;
  }
  return undefined;
}
