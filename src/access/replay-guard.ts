import { putNewest } from "./bounded.ts";

/** What to make of a message's number. */
export type Freshness = "fresh" | "replayed" | "too-old" | "invalid";

const BITS = 32;
const WINDOW = 1_024;
/** One block more than the window has, so that moving on clears whole blocks (RFC 6479 section 2). */
const BLOCKS = WINDOW / BITS + 1;
const EPOCH_MAX = 2 ** 32 - 1;

interface Author {
  epoch: number;
  /** Highest sequence seen. */
  top: number;
  readonly blocks: Uint32Array;
}

/**
 * Sliding anti-replay windows, one for each author, 1,024 sequence numbers wide (RFC 4303 section 3.4.3; the
 * ring of blocks is that of RFC 6479). A later epoch, a start of the author's program, begins anew; everything
 * of an earlier one is too old.
 *
 * Ask after the signature and the permission were checked: only then may a number move the window. Authors heard
 * of longest ago give way, and nothing is known of them afterwards; so `authorsMax` should exceed the number
 * of those that are permitted to write.
 */
export class ReplayGuard {
  readonly #authorsMax: number;
  readonly #authors = new Map<string, Author>();

  constructor(limits: { readonly authorsMax: number }) {
    this.#authorsMax = limits.authorsMax;
  }

  /** Authors that are remembered. */
  get size(): number {
    return this.#authors.size;
  }

  /**
   * Takes note of a message.
   * @param epoch 0 to 2^32 − 1 @param sequence 0 to 2^53 − 1
   * @returns `fresh` once for each number
   */
  accept(name: string, epoch: number, sequence: number): Freshness {
    if (!Number.isSafeInteger(sequence) || sequence < 0) return "invalid";
    if (!Number.isSafeInteger(epoch) || epoch < 0 || epoch > EPOCH_MAX) return "invalid";
    const author = this.#author(name, epoch, sequence);
    if (epoch < author.epoch) return "too-old";
    if (epoch > author.epoch) {
      author.epoch = epoch;
      author.top = sequence;
      author.blocks.fill(0);
    } else if (sequence > author.top) {
      advance(author, sequence);
    } else if (author.top - sequence >= WINDOW) {
      return "too-old";
    }
    const block = Math.floor(sequence / BITS) % BLOCKS;
    const bit = 1 << (sequence % BITS);
    const bits = author.blocks[block] ?? 0;
    if ((bits & bit) !== 0) return "replayed";
    author.blocks[block] = bits | bit;
    return "fresh";
  }

  #author(name: string, epoch: number, sequence: number): Author {
    const author = this.#authors.get(name) ?? {
      epoch,
      top: sequence,
      blocks: new Uint32Array(BLOCKS),
    };
    putNewest(this.#authors, name, author, this.#authorsMax);
    return author;
  }
}

/** Moves the window up and clears the blocks that come into it. */
function advance(author: Author, sequence: number): void {
  const from = Math.floor(author.top / BITS);
  const to = Math.floor(sequence / BITS);
  if (to - from >= BLOCKS) author.blocks.fill(0);
  else for (let block = from + 1; block <= to; block++) author.blocks[block % BLOCKS] = 0;
  author.top = sequence;
}
