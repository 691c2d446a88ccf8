import type { Clock, Timer } from "../platform/clock.ts";
import type { KeyValueStore, StoreOperation } from "../platform/key-value-store.ts";
import type { Logger } from "../platform/logger.ts";

const BATCH_MAX = 256;
const WRITE_AFTER_MS = 5_000;

interface Parts {
  readonly store: KeyValueStore;
  readonly clock: Pick<Clock, "setTimer">;
  readonly logger: Logger;
}

/**
 * Keeps a table in memory and its copy in the store together: what has changed is noted at once and written a few seconds
 * later, many changes in one durable batch.
 */
export class LazyWriter {
  readonly #parts: Parts;
  readonly #what: string;
  readonly #valueOf: (key: string) => Uint8Array | undefined;
  readonly #dirty = new Set<string>();
  #timer: Timer | undefined;
  #closed = false;
  #writing: Promise<unknown> = Promise.resolve();

  /**
   * @param what it is, for people and timers
   * @param valueOf tells what the table has now; undefined: the key goes
   */
  constructor(parts: Parts, what: string, valueOf: (key: string) => Uint8Array | undefined) {
    this.#parts = parts;
    this.#what = what;
    this.#valueOf = valueOf;
  }

  /** The value of this key is not that of the store any more. */
  changed(key: string): void {
    this.#dirty.add(key);
    if (this.#closed) return;
    this.#timer ??= this.#parts.clock.setTimer(`${this.#what} write`, WRITE_AFTER_MS, () => {
      this.flush().catch((error: unknown) => {
        const reason = String(error);
        this.#parts.logger.error(`${this.#what} could not be written, trying on`, { reason });
      });
    });
  }

  /** Writes everything that has changed now. @throws StoreError; what was not written stays noted, and is tried again */
  flush(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    const written = this.#writing.then(() => this.#write());
    this.#writing = written.catch(() => undefined);
    return written;
  }

  /** Writes everything that has changed, and nothing later. @throws StoreError */
  close(): Promise<void> {
    this.#closed = true;
    return this.flush();
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
        await this.#parts.store.write(operations, { durable: true });
      } catch (error) {
        for (const key of keys) this.changed(key);
        throw error;
      }
    }
  }
}
