import { resourceUsage } from "node:process";
import { type StoreOperation, type StoreWritten, sizeOfOperations } from "../key-value-store.ts";

/** getrusage(2) counts output in blocks of this size, whatever the file system's is. */
const RUSAGE_BLOCK_BYTES = 512;

/** Counts what is handed to the store, and asks the kernel what became of it. */
export class WriteCounter {
  readonly #blocksBefore = resourceUsage().fsWrite;
  #bytes = 0;
  #syncs = 0;

  count(operations: readonly StoreOperation[], durable: boolean): void {
    this.#bytes += sizeOfOperations(operations);
    if (durable) this.#syncs++;
  }

  written(): StoreWritten {
    // The same count as write_bytes in /proc/self/io, without opening a file.
    const blocks = resourceUsage().fsWrite - this.#blocksBefore;
    return {
      bytes: this.#bytes,
      syncs: this.#syncs,
      deviceBytes: blocks * RUSAGE_BLOCK_BYTES,
    };
  }
}
