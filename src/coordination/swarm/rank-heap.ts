/** What a heap holds: its rank, and the place that the heap keeps it at. */
export interface Ranked {
  rank: number;
  slot: number;
}

/** A binary heap with the lowest rank on top, whose items know their place: all changes take logarithmic time. */
export class RankHeap<T extends Ranked> {
  readonly #items: T[] = [];

  /** The item of lowest rank. */
  get lowest(): T | undefined {
    return this.#items[0];
  }

  add(item: T): void {
    item.slot = this.#items.length;
    this.#items.push(item);
    this.#rise(item);
  }

  /** The rank of an item in the heap has changed. */
  moved(item: T): void {
    this.#rise(item);
    this.#sink(item);
  }

  remove(item: T): void {
    const last = this.#items.pop();
    if (last === undefined || last === item) return;
    this.#place(last, item.slot);
    this.moved(last);
  }

  #rise(item: T): void {
    while (item.slot > 0) {
      const slot = item.slot;
      const above = (slot - 1) >> 1;
      const parent = this.#items[above];
      if (parent === undefined || parent.rank <= item.rank) return;
      this.#place(parent, slot);
      this.#place(item, above);
    }
  }

  #sink(item: T): void {
    for (;;) {
      const slot = item.slot;
      let least = item;
      for (const below of [2 * slot + 1, 2 * slot + 2]) {
        const child = this.#items[below];
        if (child !== undefined && child.rank < least.rank) least = child;
      }
      if (least === item) return;
      const below = least.slot;
      this.#place(least, slot);
      this.#place(item, below);
    }
  }

  #place(item: T, slot: number): void {
    this.#items[slot] = item;
    item.slot = slot;
  }
}
