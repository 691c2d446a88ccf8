import type { KeyValueStore } from "../platform/key-value-store.ts";
import type { Logger } from "../platform/logger.ts";
import { updateKey } from "./keys.ts";
import type { Lane } from "./lane.ts";

/** Deleted keys take disk space until LevelDB compacts them away. */
const COMPACT_AFTER_BYTES = 4 * 1024 * 1024;

/** Gives the space of what has left the outbox back to the disk, some megabytes at a time. */
export class Compactor {
  readonly #parts: { readonly store: KeyValueStore; readonly logger: Logger };
  #removedBytes = 0;
  #running: Promise<void> | undefined;

  constructor(parts: { readonly store: KeyValueStore; readonly logger: Logger }) {
    this.#parts = parts;
  }

  /** Settles when no compaction is under way; never rejects. */
  get done(): Promise<void> {
    return this.#running ?? Promise.resolve();
  }

  /** Notes bytes whose keys were deleted, and compacts when there are enough of them. */
  removed(bytes: number, lanes: readonly Lane[]): void {
    this.#removedBytes += bytes;
    if (this.#removedBytes < COMPACT_AFTER_BYTES || this.#running !== undefined) return;
    this.#removedBytes = 0;
    this.#running = this.#compact(lanes).finally(() => {
      this.#running = undefined;
    });
  }

  async #compact(lanes: readonly Lane[]): Promise<void> {
    for (const { priority, head } of lanes) {
      if (head === 0) continue;
      try {
        await this.#parts.store.compact(updateKey(priority, 0), updateKey(priority, head));
      } catch (error) {
        this.#parts.logger.warn("could not compact the outbox", { reason: String(error) });
        return;
      }
    }
  }
}
