import type { KeyValueStore, StoreOperation } from "../platform/key-value-store.ts";

const BATCH_MAX = 256;

/**
 * Keeps a table in memory and its copy in the store together: what has changed is noted at once and written later,
 * many changes in one durable batch.
 */
export class LazyWriter {
  readonly #store: KeyValueStore;
  readonly #valueOf: (key: string) => Uint8Array | undefined;
  readonly #dirty = new Set<string>();
  #writing: Promise<unknown> = Promise.resolve();

  /** @param valueOf tells what the table has now; undefined: the key goes */
  constructor(store: KeyValueStore, valueOf: (key: string) => Uint8Array | undefined) {
    this.#store = store;
    this.#valueOf = valueOf;
  }

  /** The value of this key is not that of the store any more. */
  changed(key: string): void {
    this.#dirty.add(key);
  }

  /** Writes everything that has changed. @throws StoreError; what was not written stays noted */
  flush(): Promise<void> {
    const written = this.#writing.then(() => this.#write());
    this.#writing = written.catch(() => undefined);
    return written;
  }

  async #write(): Promise<void> {
    while (this.#dirty.size > 0) {
      const keys = [...this.#dirty].slice(0, BATCH_MAX);
      for (const key of keys) this.#dirty.delete(key);
      const operations = keys.map((key): StoreOperation => {
        const value = this.#valueOf(key);
        return value === undefined ? { type: "del", key } : { type: "put", key, value };
      });
      try {
        await this.#store.write(operations, { durable: true });
      } catch (error) {
        for (const key of keys) this.#dirty.add(key);
        throw error;
      }
    }
  }
}
