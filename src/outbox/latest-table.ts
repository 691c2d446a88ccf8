import type { StoreEntry, StoreOperation } from "../platform/key-value-store.ts";
import { latestKey } from "./keys.ts";

/** Keys beyond these are not followed: their updates are all delivered. */
const KEYS_MAX = 10_000;
/** A longer key is not followed either. */
const KEY_BYTES_MAX = 256;

/**
 * Of every state-like update (one with a `key`), which one is the newest: the others need not be delivered any
 * more. On disk one small entry for each key that is queued.
 */
export class LatestTable {
  readonly #ordinals = new Map<string, number>();
  /** Still on disk, and to be forgotten there. */
  readonly #delivered = new Set<string>();

  get size(): number {
    return this.#ordinals.size;
  }

  /** @returns the name of a key in the store; undefined where it is not followed. */
  nameOf(streamId: number, key: string): string | undefined {
    const name = latestKey(streamId, key);
    if (name.length > KEY_BYTES_MAX) return undefined;
    return this.#ordinals.has(name) || this.#ordinals.size < KEYS_MAX ? name : undefined;
  }

  /** A newer update than this one of the same key is on disk. */
  isSuperseded(streamId: number, key: string, ordinal: number): boolean {
    if (this.#ordinals.size === 0) return false;
    return (this.#ordinals.get(latestKey(streamId, key)) ?? 0) > ordinal;
  }

  /** @returns the writes that make the newest of each key known. */
  write(newest: ReadonlyMap<string, number>): StoreOperation[] {
    return [...newest].map(([key, ordinal]) => {
      // The same batch must not forget it again.
      this.#delivered.delete(key);
      return { type: "put", key, value: Buffer.from(ordinal.toString(36), "latin1") };
    });
  }

  /** Notes what a commit has written. */
  committed(newest: ReadonlyMap<string, number>): void {
    for (const [name, ordinal] of newest) {
      this.#ordinals.set(name, ordinal);
      // Its predecessor left while this one was being written: what is on disk now is not that any more.
      this.#delivered.delete(name);
    }
  }

  /** An update has left: if it was the newest of its key, nothing of that key is queued any more. */
  left(streamId: number, key: string, ordinal: number): void {
    const name = latestKey(streamId, key);
    if (this.#ordinals.get(name) !== ordinal) return;
    this.#ordinals.delete(name);
    this.#delivered.add(name);
  }

  /** @returns the writes that forget what was delivered. */
  takeDelivered(): StoreOperation[] {
    const operations = [...this.#delivered].map((key) => ({ type: "del", key }) as const);
    this.#delivered.clear();
    return operations;
  }

  /** @param head everything before this ordinal has left, and need not be known any more */
  load(entries: readonly StoreEntry[], head: number): void {
    for (const [name, value] of entries) {
      const ordinal = Number.parseInt(Buffer.from(value).toString("latin1"), 36);
      if (ordinal >= head) this.#ordinals.set(name, ordinal);
      else this.#delivered.add(name);
    }
  }
}
