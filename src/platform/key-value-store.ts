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

/**
 * An ordered, durable map. The promise that everything rests on: when `write` with `durable: true` has
 * resolved, its operations survive `kill -9` and power loss; when it rejected, the store has already made
 * itself whole again and the next write means what it says.
 */
export interface KeyValueStore {
  /** @returns the value, or undefined when there is none. @throws StoreError */
  get(key: string): Promise<Uint8Array | undefined>;
  /**
   * Applies all operations or none, in order. After a rejection it is unknown whether they were applied:
   * read back before relying on either. @throws StoreError
   */
  write(operations: readonly StoreOperation[], options: { durable: boolean }): Promise<void>;
  /** @returns entries in key order (or reverse). @throws StoreError */
  range(range: StoreRange): Promise<StoreEntry[]>;
  /** Bytes that the range takes on disk, roughly. */
  approximateSize(gte: string, lt: string): Promise<number>;
  /** Gives the space of deleted keys in the range back to the disk. */
  compact(gte: string, lt: string): Promise<void>;
  /** Waits for writes under way, then releases the store. Idempotent. */
  close(): Promise<void>;
}
