/**
 * Where things stand in the store. Every lane (one per priority) is a run of keys in order of arrival, and
 * lanes follow each other from priority 9 to 0, so a plain scan of `q` is the order of delivery.
 *
 * | key | value |
 * | --- | --- |
 * | `q` lane ordinal | a block of updates (block-codec.ts), by the ordinal of its first |
 * | `s/` id | a stream: its name and where its sequence stands |
 * | `k/` stream `/` key | the newest queued update of a state-like key |
 * | `d/` ordinal | a dead letter |
 * | `m/counters`, `m/boots` | counters at some ordinal; names of boots |
 */
export const LANES = 10;

const ORDINAL_DIGITS = 10;

/** Ordinals come one after the other: all but the last two digits are mostly those of the one before. */
let lastHigh = -1;
let lastHighDigits = "";
const LOW = 36 ** 2;
const LOW_DIGITS = Array.from({ length: LOW }, (_, value) => value.toString(36).padStart(2, "0"));

function padded(value: number): string {
  const high = Math.floor(value / LOW);
  if (high !== lastHigh) {
    lastHigh = high;
    lastHighDigits = high.toString(36).padStart(ORDINAL_DIGITS - 2, "0");
  }
  return lastHighDigits + (LOW_DIGITS[value % LOW] ?? "");
}

/** @returns the first key of the lane for `priority` at or after `ordinal`. */
export function updateKey(priority: number, ordinal: number): string {
  return `q${9 - priority}${padded(ordinal)}`;
}

/** @returns the key just past the lane's last one. */
export function laneEnd(priority: number): string {
  return `q${9 - priority}~`;
}

/** @returns priority and ordinal of an update's key. */
export function parseUpdateKey(key: string): { priority: number; ordinal: number } {
  return { priority: 9 - Number(key[1]), ordinal: Number.parseInt(key.slice(2), 36) };
}

/** Keys of streams. */
export const STREAMS = { gte: "s/", lt: "s0" } as const;
/** Keys of what is newest. */
export const LATEST = { gte: "k/", lt: "k0" } as const;
/** Keys of dead letters. */
export const DEAD_LETTERS = { gte: "d/", lt: "d0" } as const;
/** The books at some ordinal. */
export const COUNTERS_KEY = "m/counters";
/** Names of the boots that records refer to by number. */
export const BOOTS_KEY = "m/boots";

/** @returns the key of a stream. */
export function streamKey(id: number): string {
  return `s/${padded(id)}`;
}

/** @returns the key under which the newest update of a state-like `key` is known. */
export function latestKey(streamId: number, key: string): string {
  return `k/${streamId.toString(36)}/${encodeURIComponent(key.toWellFormed())}`;
}

/** @returns the key of a dead letter. */
export function deadLetterKey(ordinal: number): string {
  return `d/${padded(ordinal)}`;
}
