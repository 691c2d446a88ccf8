interface Deadline {
  readonly atMs: number;
  readonly key: string;
}

/** Keys in order of time: a binary heap. A key may be in it several times; whoever takes it checks that it still counts. */
export class Deadlines {
  readonly #heap: Deadline[] = [];

  /** The soonest, or infinity. */
  get nextAtMs(): number {
    return this.#heap[0]?.atMs ?? Number.POSITIVE_INFINITY;
  }

  add(atMs: number, key: string): void {
    const heap = this.#heap;
    const added = { atMs, key };
    let at = heap.length;
    heap.push(added);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || above.atMs <= atMs) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = added;
  }

  /** Takes one that is due out. */
  takeDue(nowMs: number): string | undefined {
    const heap = this.#heap;
    const [first] = heap;
    if (first === undefined || first.atMs > nowMs) return undefined;
    const last = heap.pop();
    if (last !== undefined && heap.length > 0) this.#sink(last);
    return first.key;
  }

  #sink(sinking: Deadline): void {
    const heap = this.#heap;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      let below = heap[child];
      const right = heap[child + 1];
      if (below !== undefined && right !== undefined && right.atMs < below.atMs) {
        below = right;
        child++;
      }
      if (below === undefined || below.atMs >= sinking.atMs) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = sinking;
  }
}
