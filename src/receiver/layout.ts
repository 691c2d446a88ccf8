import { SequenceRanges } from "../sync/sequence-ranges.ts";
import { putVarint, VarintReader } from "../sync/varint.ts";

/** Runs of lost updates that are listed per stream; what is lost beyond them is only counted. */
export const MISSING_RANGES_MAX = 256;

// Where things are in the receiver's store:
//   c              counters, JSON
//   s/STREAM       {agent, stream} of a stream's number, JSON
//   m/STREAM       what is there of the stream
//   u/STREAM/SEQ   an update, from its sequence on, as it is read back
//   j/COMMIT       which updates came in a commit, for retention and for whoever follows
//   f/NAME         how far a follower is, JSON
//   t/HASH         a token, JSON

/** Key of the counters. */
export const COUNTERS_KEY = "c";

/** Key of a stream's name. Numbers are written so that keys are in their order. */
export const streamKey = (stream: number): string => `s/${digits(stream, 7)}`;
/** Key of what is there of a stream. */
export const marksKey = (stream: number): string => `m/${digits(stream, 7)}`;
/** Key of an update. */
export const updateKey = (stream: number, sequence: number): string =>
  `u/${digits(stream, 7)}/${digits(sequence, 11)}`;
/** Key of a commit. */
export const journalKey = (commit: number): string => `j/${digits(commit, 11)}`;

/** Key behind the last update of a stream. */
export const updatesEnd = (stream: number): string => `u/${digits(stream, 7)}0`;

/** @returns the number in the key of a stream or a commit */
export function numberOf(key: string): number {
  return Number.parseInt(key.slice(2), 36);
}

/** @returns the sequence in an update's key */
export function sequenceOf(key: string): number {
  return Number.parseInt(key.slice(key.lastIndexOf("/") + 1), 36);
}

function digits(value: number, length: number): string {
  return value.toString(36).padStart(length, "0");
}

/** Totals that are written with every commit. */
export interface Counters {
  readonly nextStream: number;
  /** Oldest commit that is kept, and the number that the next one gets. */
  readonly journalFirst: number;
  readonly journalNext: number;
  /** Updates that are kept, and their bytes. */
  readonly updates: number;
  readonly bytes: number;
}

/** What is known of one stream. */
export interface StreamRecord {
  /** What is there, and below `through` also what is known never to come. */
  readonly ranges: SequenceRanges;
  /** The latter: listed as far as there is room. */
  readonly missing: SequenceRanges;
  missingUpdates: number;
  /** Updates that are stored though `ranges` had no room to say so. */
  unmarked: number;
  received: number;
  lastReceivedAtMs: number;
}

/** Encodes what stands under {@link marksKey}. */
export function encodeStreamRecord(record: StreamRecord): Uint8Array {
  const bytes: number[] = [];
  const { missingUpdates, unmarked, received, lastReceivedAtMs } = record;
  for (const value of [missingUpdates, unmarked, received, lastReceivedAtMs])
    putVarint(bytes, Math.max(0, Math.trunc(value)));
  const ranges = record.ranges.encode();
  putVarint(bytes, ranges.length);
  return Buffer.concat([Uint8Array.from(bytes), ranges, record.missing.encode()]);
}

/** @throws RangeError when the record is damaged */
export function decodeStreamRecord(bytes: Uint8Array, rangesMax: number): StreamRecord {
  const reader = new VarintReader(bytes);
  const [missingUpdates, unmarked, received, lastReceivedAtMs, length] = [
    reader.next(),
    reader.next(),
    reader.next(),
    reader.next(),
    reader.next(),
  ];
  const split = reader.position + length;
  const ranges = SequenceRanges.decode(bytes.subarray(reader.position, split));
  return {
    ranges: ranges.clone(rangesMax),
    missing: SequenceRanges.decode(bytes.subarray(split), MISSING_RANGES_MAX * 2).clone(
      MISSING_RANGES_MAX,
    ),
    missingUpdates,
    unmarked,
    received,
    lastReceivedAtMs,
  };
}

/** One commit: when, how much, and which sequences of which streams, ascending. */
export interface JournalEntry {
  readonly atMs: number;
  readonly bytes: number;
  readonly streams: ReadonlyMap<number, readonly number[]>;
}

/** Encodes what stands under {@link journalKey}. */
export function encodeJournalEntry({ atMs, bytes, streams }: JournalEntry): Uint8Array {
  const out: number[] = [];
  for (const value of [Math.max(0, Math.trunc(atMs)), bytes, streams.size]) putVarint(out, value);
  for (const [stream, sequences] of streams) {
    putVarint(out, stream);
    putVarint(out, sequences.length);
    let before = 0;
    for (const sequence of sequences) {
      putVarint(out, sequence - before);
      before = sequence;
    }
  }
  return Uint8Array.from(out);
}

/** @throws RangeError when the entry is damaged */
export function decodeJournalEntry(bytes: Uint8Array): JournalEntry {
  const reader = new VarintReader(bytes);
  const [atMs, held, count] = [reader.next(), reader.next(), reader.next()];
  const streams = new Map<number, number[]>();
  for (let n = 0; n < count; n++) {
    const stream = reader.next();
    const sequences: number[] = [];
    let before = 0;
    for (let left = reader.next(); left > 0; left--) {
      before += reader.next();
      sequences.push(before);
    }
    streams.set(stream, sequences);
  }
  return { atMs, bytes: held, streams };
}
