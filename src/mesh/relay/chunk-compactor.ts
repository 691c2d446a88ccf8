import type { KeyValueStore } from "../../platform/key-value-store.ts";
import type { Logger } from "../../platform/logger.ts";
import type { Guest } from "./guest.ts";
import type { Chunk } from "./guest-queue.ts";
import { chunkKey } from "./host-store.ts";

/** Deleted keys take disk space until LevelDB compacts them away: after so much has left. */
const COMPACT_AFTER_BYTES = 16 * 1024 * 1024;

/** Gives the space of what guests' queues have left behind back to the disk, some megabytes at a time. */
export class ChunkCompactor {
  readonly #parts: { readonly store: KeyValueStore; readonly logger: Logger };
  /** By guest: the last chunk that has left since the last time. */
  #left = new Map<Guest, Chunk>();
  #bytes = 0;
  #running: Promise<void> | undefined;

  constructor(parts: { readonly store: KeyValueStore; readonly logger: Logger }) {
    this.#parts = parts;
  }

  /** Settles when no compaction is under way; never rejects. */
  get done(): Promise<void> {
    return this.#running ?? Promise.resolve();
  }

  /** Nothing is left of these chunks of a guest, which are its oldest. */
  removed(guest: Guest, chunks: readonly Chunk[]): void {
    for (const chunk of chunks) {
      this.#bytes += chunk.bytes;
      this.#left.set(guest, chunk);
    }
  }

  /** Removals have been written. Compacts when it is time. */
  committed(): void {
    if (this.#bytes < COMPACT_AFTER_BYTES || this.#running !== undefined) return;
    const left = this.#left;
    this.#left = new Map();
    this.#bytes = 0;
    this.#running = this.#compact(left).finally(() => {
      this.#running = undefined;
    });
  }

  async #compact(left: ReadonlyMap<Guest, Chunk>): Promise<void> {
    const { store, logger } = this.#parts;
    for (const [guest, chunk] of left)
      try {
        await store.compact(chunkKey(guest, { number: 0 }), `${chunkKey(guest, chunk)}!`);
      } catch (error) {
        logger.warn("could not compact what neighbours had handed over", { reason: String(error) });
        return;
      }
  }
}
