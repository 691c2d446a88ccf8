/**
 * What an entry of the log holds. `normal`: a command of the application, or nothing in the first entry of a term;
 * `change-v1`: one change of one member; `change-v2`: any change of the members, see `change.ts`.
 */
export type EntryKind = "normal" | "change-v1" | "change-v2";

/** What is asked to be put into the log: an entry without its place. */
export interface Proposal {
  readonly kind: EntryKind;
  readonly data: Uint8Array;
}

/** One place of the replicated log (Ongaro and Ousterhout 2014, section 5.3). */
export interface Entry extends Proposal {
  /** Term of the leader that made it, from 1. */
  readonly term: number;
  /** Place in the log, from 1 and without gaps. */
  readonly index: number;
}

/** An entry by its place, and the term that tells it from others that were in that place. */
export interface EntryId {
  readonly term: number;
  readonly index: number;
}

/** What an entry counts for beyond its data wherever bytes are limited. */
export const ENTRY_OVERHEAD_BYTES = 24;
/** The data of an entry that holds nothing. */
export const NO_DATA = new Uint8Array(0);

/** Bytes that entries take on the way and in memory. */
export function entriesBytes(entries: readonly Proposal[]): number {
  let bytes = 0;
  for (const { data } of entries) bytes += data.length + ENTRY_OVERHEAD_BYTES;
  return bytes;
}

/** Bytes of the data alone. An empty entry has none, so that no limit on them refuses it. */
export function dataBytes(entries: readonly Proposal[]): number {
  let bytes = 0;
  for (const { data } of entries) bytes += data.length;
  return bytes;
}

/**
 * How many of the entries from `from` on fit into `bytesMax`: at least one, so that an entry greater than the limit does
 * not stop everything behind it.
 * @param to where they end, exclusive
 */
export function countFitting(
  entries: readonly Proposal[],
  from: number,
  to: number,
  bytesMax: number,
): number {
  let bytes = 0;
  for (let at = from; at < to; at++) {
    bytes += (entries[at]?.data.length ?? 0) + ENTRY_OVERHEAD_BYTES;
    if (bytes > bytesMax && at > from) return at - from;
  }
  return to - from;
}
