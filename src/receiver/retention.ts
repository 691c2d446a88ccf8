import type { KeyValueStore, StoreOperation } from "../platform/key-value-store.ts";
import {
  COUNTERS_KEY,
  type Counters,
  decodeJournalEntry,
  journalKey,
  numberOf,
  updateKey,
} from "./layout.ts";
import type { ReceiverLimits } from "./options.ts";
import type { StreamTable } from "./stream-table.ts";

const COMMITS_AT_ONCE = 16;

/** What goes to keep the store within its limits. */
export interface Retirement {
  readonly operations: readonly StoreOperation[];
  readonly counters: Counters;
  readonly updates: number;
  /** Whether there may be more to do. */
  readonly more: boolean;
}

/**
 * Finds the oldest commits that have to go. An update that only the store knows of leaves an empty value in its
 * place, so that it is not taken twice.
 * @param nowMs undefined where the clock is not to be trusted: nothing then is too old
 * @throws StoreError
 */
export async function retire(
  store: KeyValueStore,
  table: StreamTable,
  limits: ReceiverLimits,
  nowMs: number | undefined,
): Promise<Retirement | undefined> {
  const { counters } = table;
  if (counters.journalFirst === counters.journalNext) return undefined;
  const entries = await store.range({
    gte: journalKey(counters.journalFirst),
    lt: journalKey(counters.journalNext),
    limit: COMMITS_AT_ONCE,
  });
  const operations: StoreOperation[] = [];
  let { updates, bytes, journalFirst } = counters;
  const updatesBefore = updates;
  for (const [key, value] of entries) {
    const entry = decodeJournalEntry(value);
    const tooMuch = limits.keepBytesMax > 0 && bytes > limits.keepBytesMax;
    const tooOld = limits.keepMs > 0 && nowMs !== undefined && entry.atMs < nowMs - limits.keepMs;
    if (!tooMuch && !tooOld) break;
    operations.push({ type: "del", key });
    for (const [number, sequences] of entry.streams) {
      const ranges = table.byNumber(number)?.ranges;
      for (const sequence of sequences) {
        const place = updateKey(number, sequence);
        if (ranges?.has(sequence) === false)
          operations.push({ type: "put", key: place, value: new Uint8Array() });
        else operations.push({ type: "del", key: place });
      }
      updates -= sequences.length;
    }
    bytes -= entry.bytes;
    journalFirst = numberOf(key) + 1;
  }
  if (operations.length === 0) return undefined;
  const after = { ...counters, journalFirst, updates, bytes };
  operations.push({
    type: "put",
    key: COUNTERS_KEY,
    value: Buffer.from(JSON.stringify(after)),
  });
  return {
    operations,
    counters: after,
    updates: updatesBefore - updates,
    more: journalFirst < counters.journalNext,
  };
}
