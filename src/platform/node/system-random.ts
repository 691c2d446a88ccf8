import { randomBytes, randomFillSync } from "node:crypto";
import type { Random } from "../random.ts";

const DRAW_BYTES = 6;
/** So many are fetched at once: each call costs as much as a hundred draws, and the first weights of a model are a hundred thousand. */
const DRAWS = 512;

/** The operating system's cryptographic random source. */
export class SystemRandom implements Random {
  readonly #drawn = Buffer.alloc(DRAW_BYTES * DRAWS);
  #at = DRAW_BYTES * DRAWS;

  next(): number {
    if (this.#at === this.#drawn.length) {
      randomFillSync(this.#drawn);
      this.#at = 0;
    }
    const value = this.#drawn.readUIntBE(this.#at, DRAW_BYTES) / 2 ** 48;
    this.#at += DRAW_BYTES;
    return value;
  }

  /** Never of what {@link next} has fetched: keys and tokens come from here. */
  bytes(length: number): Uint8Array {
    return randomBytes(length);
  }

  fork(_label: string): Random {
    return this;
  }
}
