/** What a guard says of something that came over a bridge. */
export type LoopVerdict =
  | "new"
  /** It was here before, maybe by another way. */
  | "seen"
  /** It has been over this very bridge. */
  | "loop"
  /** It came over as many bridges as are allowed. */
  | "too-far";

/**
 * Keeps messages from going round where several bridges join the same networks: by the bridges that a message names
 * on its way, by their number, and by the ids that were seen last.
 */
export class LoopGuard {
  readonly #bridgeId: string;
  readonly #hopsMax: number;
  readonly #seenMax: number;
  readonly #seen = new Set<string>();

  constructor(bridgeId: string, bounds: { readonly hopsMax: number; readonly seenMax: number }) {
    this.#bridgeId = bridgeId;
    this.#hopsMax = bounds.hopsMax;
    this.#seenMax = bounds.seenMax;
  }

  /** @returns whether it may go on over this bridge, by the way it came */
  way(via: readonly string[]): "new" | "loop" | "too-far" {
    if (via.includes(this.#bridgeId)) return "loop";
    return via.length >= this.#hopsMax ? "too-far" : "new";
  }

  /** Looks at a message, and remembers it when it is new. Of two authors each has ids of its own. */
  message(author: string, id: string, via: readonly string[]): LoopVerdict {
    const way = this.way(via);
    if (way !== "new") return way;
    const key = `${author}\n${id}`;
    if (this.#seen.has(key)) return "seen";
    if (this.#seen.size >= this.#seenMax) {
      // A set keeps the order of insertion: the first is the oldest.
      const [oldest] = this.#seen;
      if (oldest !== undefined) this.#seen.delete(oldest);
    }
    this.#seen.add(key);
    return "new";
  }

  /** @returns the way with this bridge at its end */
  passed(via: readonly string[]): readonly string[] {
    return [...via, this.#bridgeId];
  }
}
