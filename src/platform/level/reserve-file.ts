import { rmSync, statSync } from "node:fs";
import { open, rm } from "node:fs/promises";

/**
 * A file that only takes up room. LevelDB replays its log into new tables when it opens, which fails on a
 * full disk: giving these bytes back lets it open all the same.
 */
export class ReserveFile {
  readonly #path: string;
  readonly #bytes: number;

  constructor(path: string, bytes: number) {
    this.#path = path;
    this.#bytes = bytes;
  }

  /**
   * Makes the file where there is room; a disk that is full right now is no error. It takes a while on a
   * slow card, and nobody has to wait for it.
   */
  async keep(): Promise<void> {
    if (this.#bytes === 0 || this.#size() >= this.#bytes) return;
    try {
      await using file = await open(this.#path, "w", 0o600);
      const block = Buffer.alloc(64 * 1024, 0x5a);
      for (let written = 0; written < this.#bytes; written += block.length) await file.write(block);
      await file.sync();
    } catch {
      // Half a reserve on a nearly full disk would only make it fuller.
      await rm(this.#path, { force: true }).catch(() => undefined);
    }
  }

  /** Gives the room back. @returns whether there was any. */
  release(): boolean {
    const held = this.#size() > 0;
    rmSync(this.#path, { force: true });
    return held;
  }

  #size(): number {
    return statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0;
  }
}
