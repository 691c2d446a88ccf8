import type { KeyValueStore, StoreEntry, StoreOperation } from "../platform/key-value-store.ts";
import { DEAD_LETTERS, deadLetterKey } from "./keys.ts";
import type { Ledger } from "./ledger.ts";
import type { Update } from "./update.ts";
import type { DeadLetter } from "./view.ts";

/** What becomes a dead letter; the outbox adds id and time. */
export type DeadLetterDraft = Omit<DeadLetter, "id" | "deadAtMs">;

/** @returns a dead letter's value in the store: a line of JSON, then the payload as it came. */
export function encodeDeadLetter(draft: DeadLetterDraft, deadAtMs: number): Uint8Array {
  const { payload, ...rest } = draft;
  return Buffer.concat([Buffer.from(`${JSON.stringify({ ...rest, deadAtMs })}\n`), payload]);
}

/** @returns what a dead letter takes on disk, key and all. */
export function deadLetterBytes(draft: DeadLetterDraft): number {
  // A time with as many digits as any has.
  return deadLetterKey(0).length + encodeDeadLetter(draft, 1e12).length;
}

/** @returns the dead letter; of one whose head can not be read, its bytes as they are. */
export function decodeDeadLetter([key, value]: StoreEntry): DeadLetter {
  const id = key.slice(2);
  const end = value.indexOf(0x0a);
  try {
    const head = JSON.parse(Buffer.from(value.subarray(0, end)).toString("utf8")) as Omit<
      DeadLetter,
      "id" | "payload"
    >;
    return { ...head, id, payload: value.subarray(end + 1) };
  } catch {
    // One that is damaged must not hide the others.
    return { ...damagedLetter(key, value, 0), id, deadAtMs: 0 };
  }
}

/** @returns the letter of an update that its receiver will never take. */
export function refusedLetter(update: Update, code: string, reason: string): DeadLetterDraft {
  const { stream, payload, contentType, priority } = update;
  return {
    code,
    reason,
    topic: stream,
    payload,
    contentType,
    priority,
    updateId: update.id,
  };
}

/** @returns the letter of a record that can not be read. */
export function damagedLetter(key: string, payload: Uint8Array, priority: number): DeadLetterDraft {
  return {
    code: "record.damaged",
    reason: `the record at ${key} can not be read; its bytes are kept as payload`,
    topic: "",
    payload,
    contentType: "application/octet-stream",
    priority,
  };
}

const TRIM_MAX = 1_000;

/** What one commit takes from the dead letters. */
export interface DeadLetterRemovals {
  readonly removedKeys: readonly string[];
  /** Letters that become updates again, should there be room for them. */
  readonly requeuedKeys: readonly string[];
  /** What is about to be added. */
  readonly incomingBytes: number;
  readonly bytesMax: number;
}

/**
 * Adds the deletions of a commit to `operations` and takes them out of the ledger; when there are too many
 * bytes of dead letters, the oldest give way.
 * @returns deletes one of those that become updates again, when there is room for it
 * @throws StoreError
 */
export async function removeDeadLetters(
  changes: DeadLetterRemovals,
  ledger: Ledger,
  store: KeyValueStore,
  operations: StoreOperation[],
): Promise<(key: string) => void> {
  const requeued = new Map<string, Uint8Array>();
  const dropped = new Set<string>();
  const drop = ([key, value]: StoreEntry): void => {
    if (dropped.has(key)) return;
    dropped.add(key);
    operations.push({ type: "del", key });
    ledger.deadLetterCount--;
    ledger.deadLetterBytes -= key.length + value.length;
  };
  for (const key of changes.removedKeys) {
    // Somebody else may have removed it since it was looked at.
    const value = await store.get(key);
    if (value !== undefined) drop([key, value]);
  }
  for (const key of changes.requeuedKeys) {
    const value = await store.get(key);
    if (value !== undefined) requeued.set(key, value);
  }
  const requeue = (key: string): void => {
    const value = requeued.get(key);
    if (value !== undefined) drop([key, value]);
  };
  const isOver = (): boolean =>
    ledger.deadLetterCount > 0 && ledger.deadLetterBytes + changes.incomingBytes > changes.bytesMax;
  if (!isOver()) return requeue;
  for (const entry of await store.range({ ...DEAD_LETTERS, limit: TRIM_MAX })) {
    if (!isOver()) return requeue;
    drop(entry);
  }
  return requeue;
}

/** Adds dead letters to `operations` and to the ledger. */
export function addDeadLetters(
  drafts: readonly DeadLetterDraft[],
  deadAtMs: number,
  ledger: Ledger,
  operations: StoreOperation[],
): void {
  for (const draft of drafts) {
    const key = deadLetterKey(ledger.deadLetterNextOrdinal++);
    const value = encodeDeadLetter(draft, deadAtMs);
    operations.push({ type: "put", key, value });
    ledger.deadLetterCount++;
    ledger.deadLetterBytes += key.length + value.length;
  }
}
