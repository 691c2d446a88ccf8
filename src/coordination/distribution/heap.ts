/** The place of an item in a heap; kept by whoever may want to take it out. */
export interface Slot<T> {
  readonly item: T;
  at: number;
}

/** A binary heap from which anything can be taken, all in logarithmic time. */
export class Heap<T> {
  readonly #precedes: (one: T, other: T) => boolean;
  readonly #slots: Slot<T>[] = [];

  /** @param precedes whether the one comes out before the other */
  constructor(precedes: (one: T, other: T) => boolean) {
    this.#precedes = precedes;
  }

  get size(): number {
    return this.#slots.length;
  }

  /** What comes out next. */
  get first(): T | undefined {
    return this.#slots[0]?.item;
  }

  add(item: T): Slot<T> {
    const slot = { item, at: this.#slots.length };
    this.#slots.push(slot);
    this.#rise(slot);
    return slot;
  }

  /** Takes an item out. One that is out already is not there any more. */
  remove(slot: Slot<T>): void {
    if (this.#slots[slot.at] !== slot) return;
    const last = this.#slots.pop();
    if (last === undefined || last === slot) return;
    this.#place(last, slot.at);
    this.#rise(last);
    this.#sink(last);
  }

  #rise(slot: Slot<T>): void {
    while (slot.at > 0) {
      const { at } = slot;
      const above = (at - 1) >> 1;
      const parent = this.#slots[above];
      if (parent === undefined || !this.#precedes(slot.item, parent.item)) return;
      this.#place(parent, at);
      this.#place(slot, above);
    }
  }

  #sink(slot: Slot<T>): void {
    for (;;) {
      const { at } = slot;
      let first = slot;
      for (const below of [2 * at + 1, 2 * at + 2]) {
        const child = this.#slots[below];
        if (child !== undefined && this.#precedes(child.item, first.item)) first = child;
      }
      if (first === slot) return;
      const below = first.at;
      this.#place(first, at);
      this.#place(slot, below);
    }
  }

  #place(slot: Slot<T>, at: number): void {
    this.#slots[at] = slot;
    slot.at = at;
  }
}
