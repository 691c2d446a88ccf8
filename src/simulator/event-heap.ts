const CAPACITY_MIN = 64;

/** A binary heap of things that are due: soonest first, and of one time in the order in which they were added. */
export class EventHeap<T> {
  #times = new Float64Array(CAPACITY_MIN);
  #orders = new Float64Array(CAPACITY_MIN);
  #items: T[] = [];
  #order = 0;

  get size(): number {
    return this.#items.length;
  }

  /** When the next one is due; Infinity when nothing waits. */
  get nextMs(): number {
    return this.#items.length === 0 ? Number.POSITIVE_INFINITY : (this.#times[0] ?? 0);
  }

  /** What is due next. */
  get next(): T | undefined {
    return this.#items[0];
  }

  push(atMs: number, item: T): void {
    const at = this.#items.length;
    if (at === this.#times.length) this.#grow();
    this.#items.push(item);
    this.#rise(at, atMs, this.#order++, item);
  }

  /** @returns what was due next; undefined when nothing waits */
  pop(): T | undefined {
    const first = this.#items[0];
    const last = this.#items.pop();
    const size = this.#items.length;
    if (size > 0 && last !== undefined)
      this.#sink(this.#times[size] ?? 0, this.#orders[size] ?? 0, last);
    return first;
  }

  /** Everything that waits, soonest first. */
  sorted(): T[] {
    return this.#items
      .map((item, at) => ({ item, ms: this.#times[at] ?? 0, order: this.#orders[at] ?? 0 }))
      .sort((left, right) => left.ms - right.ms || left.order - right.order)
      .map(({ item }) => item);
  }

  /** Drops what `keep` does not want to keep; the order of the rest stays as it was. */
  filter(keep: (item: T) => boolean): void {
    const kept = this.#items
      .map((item, at) => ({ item, ms: this.#times[at] ?? 0, order: this.#orders[at] ?? 0 }))
      .filter(({ item }) => keep(item));
    this.#items = [];
    for (const { item, ms, order } of kept) {
      this.#items.push(item);
      this.#rise(this.#items.length - 1, ms, order, item);
    }
  }

  #rise(from: number, ms: number, order: number, item: T): void {
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#later(parent, ms, order)) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#put(at, ms, order, item);
  }

  #sink(ms: number, order: number, item: T): void {
    const size = this.#items.length;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      const other = child + 1;
      if (other < size && this.#later(child, this.#times[other] ?? 0, this.#orders[other] ?? 0))
        child = other;
      if (this.#later(child, ms, order)) break;
      this.#move(child, at);
      at = child;
    }
    this.#put(at, ms, order, item);
  }

  /** Whether what stands there is due after the given. */
  #later(at: number, ms: number, order: number): boolean {
    const there = this.#times[at] ?? 0;
    return there > ms || (there === ms && (this.#orders[at] ?? 0) > order);
  }

  #move(from: number, to: number): void {
    this.#times[to] = this.#times[from] ?? 0;
    this.#orders[to] = this.#orders[from] ?? 0;
    this.#items[to] = this.#items[from] as T;
  }

  #put(at: number, ms: number, order: number, item: T): void {
    this.#times[at] = ms;
    this.#orders[at] = order;
    this.#items[at] = item;
  }

  #grow(): void {
    const times = new Float64Array(2 * this.#times.length);
    const orders = new Float64Array(2 * this.#times.length);
    times.set(this.#times);
    orders.set(this.#orders);
    this.#times = times;
    this.#orders = orders;
  }
}
