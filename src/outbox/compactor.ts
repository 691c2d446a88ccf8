import type { KeyValueStore } from "../platform/key-value-store.ts";
import type { Logger } from "../platform/logger.ts";
import { updateKey } from "./keys.ts";
import type { Lane } from "./lane.ts";

/** Deleted keys take disk space until LevelDB compacts them away: after so much more has left than come. */
const COMPACT_AFTER_BYTES = 4 * 1024 * 1024;
/**
 * The latest when as much comes as leaves: a compaction writes what is about to leave once more, and LevelDB does some
 * of its own.
 */
const COMPACT_AT_LATEST_BYTES = 16 * 1024 * 1024;

/** Gives the space of what has left the outbox back to the disk, some megabytes at a time. */
export class Compactor {
  readonly #parts: { readonly store: KeyValueStore; readonly logger: Logger };
  #removedBytes = 0;
  /** Of what came meanwhile, as much as has left. */
  #addedBytes = 0;
  #running: Promise<void> | undefined;

  constructor(parts: { readonly store: KeyValueStore; readonly logger: Logger }) {
    this.#parts = parts;
  }

  /** Settles when no compaction is under way; never rejects. */
  get done(): Promise<void> {
    return this.#running ?? Promise.resolve();
  }

  /** Notes a commit: bytes that were written, and bytes whose keys were deleted. Compacts when it is time. */
  committed(addedBytes: number, removedBytes: number, lanes: readonly Lane[]): void {
    this.#removedBytes += removedBytes;
    this.#addedBytes = Math.min(this.#addedBytes + addedBytes, this.#removedBytes);
    const isDue =
      this.#removedBytes - this.#addedBytes >= COMPACT_AFTER_BYTES ||
      this.#removedBytes >= COMPACT_AT_LATEST_BYTES;
    if (!isDue || this.#running !== undefined) return;
    this.#removedBytes = 0;
    this.#addedBytes = 0;
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
