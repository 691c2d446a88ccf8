import type { JetStreamManager, StoredMsg } from "@nats-io/jetstream";
import { parseTimestamp } from "../../sync/timestamp.ts";
import type { StreamMarks } from "../uplink-connection.ts";

/** Header of an update: the JetStream sequence below which the server is known to have nothing unacknowledged. */
export const BASE_HEADER = "acknowledged-below";
/** Header of an update: when it was observed. */
export const OBSERVED_AT_HEADER = "observed-at";
/** Header of an update: its sequence in its own stream. */
export const SEQUENCE_HEADER = "sequence";

/** What was found of one stream. */
export interface StoredMarks {
  readonly marks: StreamMarks;
  /** JetStream sequence of the newest; absent when there was no time to look at all before it. */
  readonly last?: number;
}

/**
 * Finds out which updates of one subject the server has stored without our having heard so.
 *
 * The newest message alone does not tell: within a window, an update may have been refused while its
 * successors were stored, so "everything up to the newest" could claim what the server never had. Each update
 * carries, as {@link BASE_HEADER}, the JetStream sequence of the newest acknowledgement at the time when it was
 * sent. Whatever went unacknowledged lies between that and the newest message: these are read one by one, and
 * only what was seen is claimed. So `through` is always 0. What was acknowledged is not claimed, since it is not
 * in the outbox any more and nobody asks for it.
 *
 * @param patience answers whether there is time for another question; what was found by then is told
 * @returns undefined when the server has nothing of this subject
 */
export async function readStored(
  manager: JetStreamManager,
  stream: { readonly name: string; readonly direct: boolean },
  subject: string,
  patience: () => boolean,
): Promise<StoredMarks | undefined> {
  const read = (query: { last_by_subj: string } | { seq: number; next_by_subj: string }) =>
    stream.direct
      ? manager.direct.getMessage(stream.name, query)
      : manager.streams.getMessage(stream.name, query);
  const newest = await read({ last_by_subj: subject });
  if (newest === null) return undefined;
  const found = new Set(sequenceOf(newest));
  const base = Number(newest.header.get(BASE_HEADER) || newest.seq);
  let at = Number.isSafeInteger(base) ? base + 1 : newest.seq;
  while (at < newest.seq && patience()) {
    const message = await read({ seq: at, next_by_subj: subject });
    if (message === null) return { marks: marksOf(found, newest) };
    for (const sequence of sequenceOf(message)) found.add(sequence);
    at = message.seq + 1;
  }
  const marks = marksOf(found, newest);
  return at < newest.seq ? { marks } : { marks, last: newest.seq };
}

function marksOf(found: ReadonlySet<number>, { header }: StoredMsg): StreamMarks {
  const lastObservedAtMs = parseTimestamp(header.get(OBSERVED_AT_HEADER));
  return {
    through: 0,
    ranges: rangesOf(found),
    ...(lastObservedAtMs === undefined ? {} : { lastObservedAtMs }),
  };
}

/** @returns the sequences as ascending ranges, both ends included. */
export function rangesOf(sequences: Iterable<number>): readonly (readonly [number, number])[] {
  const ranges: [number, number][] = [];
  for (const sequence of [...sequences].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last !== undefined && sequence <= last[1] + 1) last[1] = sequence;
    else ranges.push([sequence, sequence]);
  }
  return ranges;
}

function sequenceOf({ header }: StoredMsg): number[] {
  const sequence = Number(header.get(SEQUENCE_HEADER));
  return Number.isSafeInteger(sequence) && sequence > 0 ? [sequence] : [];
}
