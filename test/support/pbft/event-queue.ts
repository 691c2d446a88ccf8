/** Things to happen, in order of their time; of the same time in the order in which they were added. */
export class EventQueue {
  readonly #heap: { readonly atMs: number; readonly number: number; readonly run: () => void }[] =
    [];
  #number = 0;

  add(atMs: number, run: () => void): void {
    const heap = this.#heap;
    let at = heap.length;
    const added = { atMs, number: this.#number++, run };
    heap.push(added);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (isBefore(heap[parent]!, added)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = added;
  }

  /** Takes the next one out. @returns undefined when that is later than `untilMs` */
  next(untilMs: number): { readonly atMs: number; readonly run: () => void } | undefined {
    const heap = this.#heap;
    const [first] = heap;
    if (first === undefined || first.atMs > untilMs) return undefined;
    const last = heap.pop()!;
    if (heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (isBefore(last, heap[child]!)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

function isBefore(
  left: { readonly atMs: number; readonly number: number },
  right: { readonly atMs: number; readonly number: number },
): boolean {
  return left.atMs < right.atMs || (left.atMs === right.atMs && left.number < right.number);
}
