import type { Entry, EntryKind, Proposal } from "../raft/entry.ts";
import { readVarint, VARINT_BYTES_MAX } from "../raft/varint.ts";

const KINDS: readonly EntryKind[] = ["normal", "change-v1", "change-v2"];
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
    const term = readVarint(bytes, cursor);
    const kind = KINDS[bytes[cursor.at++] ?? KINDS.length];
    const length = readVarint(bytes, cursor);
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
