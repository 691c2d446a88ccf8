import type { KeyValueStore, StoreOperation } from "./key-value-store.ts";
import type { Logger } from "./logger.ts";

/** What a writer works with. */
export interface DirtyWriterParts {
  readonly store: Pick<KeyValueStore, "write">;
  readonly logger: Logger;
  /** What is written, in words for the log: `orders`. */
  readonly what: string;
  /** @returns what puts the present state of a name on disk */
  readonly operation: (name: string) => StoreOperation;
}

/**
 * Writes by and by, durably, whatever was marked, in one batch at a time: what is marked while one is under way goes with the
 * next. What could not be written stays marked.
 */
export class DirtyWriter {
  readonly #parts: DirtyWriterParts;
  readonly #dirty = new Set<string>();
  #writing: Promise<void> | undefined;

  constructor(parts: DirtyWriterParts) {
    this.#parts = parts;
  }

  /** It goes with the next batch, whenever that is. */
  mark(name: string): void {
    this.#dirty.add(name);
  }

  /** Marks it, and begins to write unless that is under way. */
  write(name: string): void {
    this.mark(name);
    if (this.#writing !== undefined) return;
    const writing = this.#writeAll().finally(() => {
      this.#writing = undefined;
    });
    this.#writing = writing;
    // Whoever has to know waits for it by itself.
    writing.catch(() => undefined);
  }

  /** Until everything so far is on disk. @throws StoreError */
  async written(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
  }

  async #writeAll(): Promise<void> {
    const { store, logger, what, operation } = this.#parts;
    while (this.#dirty.size > 0) {
      const names = [...this.#dirty];
      this.#dirty.clear();
      try {
        await store.write(names.map(operation), { durable: true });
      } catch (error) {
        // What is still here is written with the next one.
        for (const name of names) this.#dirty.add(name);
        logger.error(`${what} were not written`, { error });
        throw error;
      }
    }
  }
}
