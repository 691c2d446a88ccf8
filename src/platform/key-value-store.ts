/** One change in an atomic batch. */
export type StoreOperation =
  | { readonly type: "put"; readonly key: string; readonly value: Uint8Array }
  | { readonly type: "del"; readonly key: string };

/** A stored pair. */
export type StoreEntry = readonly [key: string, value: Uint8Array];

/** Half-open key range in code unit order; keys are ASCII. */
export interface StoreRange {
  readonly gte: string;
  readonly lt: string;
  /** At most this many entries. */
  readonly limit: number;
  /** Also stop after the entry that takes the sum of value bytes past this. */
  readonly bytesMax?: number;
  /** Largest keys first. */
  readonly reverse?: boolean;
}

/** The store could not do what was asked; `code` is stable. */
export class StoreError extends Error {
  override readonly name = "StoreError";
  readonly code: "store.full" | "store.locked" | "store.corrupt" | "store.closed" | "store.failed";
  constructor(code: StoreError["code"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** @returns bytes of all keys and of the values put. */
export function sizeOfOperations(operations: readonly StoreOperation[]): number {
  let bytes = 0;
  for (const operation of operations)
    bytes += operation.key.length + (operation.type === "put" ? operation.value.length : 0);
  return bytes;
}

/** How a batch is written. */
export interface WriteOptions {
  /** Wait until it survives power loss. */
  readonly durable: boolean;
  /**
   * The {@link KeyValueStore.generation} under which the writer read what this batch builds on: after a repair
   * nothing is written, and the writer has to read anew.
   */
  readonly ifGeneration?: number;
}

/** What a store has written since it was opened first in this process; flash wears by it. */
export interface StoreWritten {
  /** Keys and values handed to `write`. Logs, tables and their compaction come on top of that. */
  readonly bytes: number;
  /** Durable writes; each waits for one sync of the disk. */
  readonly syncs: number;
  /**
   * Bytes that the whole process sent to block devices meanwhile, as the kernel counts them: whole pages,
   * with everything that comes on top. 0 on a file system in memory, absent where nobody counts.
   */
  readonly deviceBytes?: number;
}

/** The store found damage, and made itself whole without what could not be read. */
export interface StoreRepair {
  /** Wall clock, ms since 1970. */
  readonly atMs: number;
  /**
   * `entries`: single entries were set aside; `log`: damaged records of the log were; `rebuilt`: the store was
   * put together again from the files that can be read; `replaced`: nothing could be read, and it is empty.
   */
  readonly kind: "entries" | "log" | "rebuilt" | "replaced";
  /** What was found, in words. */
  readonly reason: string;
  /** Folder that keeps the damaged files. */
  readonly quarantine: string;
}

/**
 * An ordered, durable map. The promise that everything rests on: when `write` with `durable: true` has
 * resolved, its operations survive `kill -9` and power loss; when it rejected, the store has already made
 * itself whole again and the next write means what it says.
 *
 * Damage does not stop it: what can not be read is set aside, and the rest goes on.
 */
export interface KeyValueStore {
  /**
   * 0, and one more after every repair that may have lost entries, kept with the store. Numbers that were
   * derived from entries under an earlier generation may have been lost with them: never give them out again.
   */
  readonly generation: number;
  /** What was repaired since this process opened the store, oldest first, the last few. */
  repairs(): readonly StoreRepair[];
  /** @returns the value, or undefined when there is none. @throws StoreError */
  get(key: string): Promise<Uint8Array | undefined>;
  /**
   * Applies all operations or none, in order. After a rejection it is unknown whether they were applied:
   * read back before relying on either. @throws StoreError `store.corrupt` when `ifGeneration` is not the
   *   store's any more
   */
  write(operations: readonly StoreOperation[], options: WriteOptions): Promise<void>;
  /** @returns entries in key order (or reverse). @throws StoreError */
  range(range: StoreRange): Promise<StoreEntry[]>;
  /** Bytes that the range takes on disk, roughly. */
  approximateSize(gte: string, lt: string): Promise<number>;
  /** Gives the space of deleted keys in the range back to the disk. */
  compact(gte: string, lt: string): Promise<void>;
  /** Totals that only grow; cheap enough to be asked for at every look at the queue. */
  written(): StoreWritten;
  /** Waits for writes under way, then releases the store. Idempotent. */
  close(): Promise<void>;
}
