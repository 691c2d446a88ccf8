import { Heap, type Slot } from "./heap.ts";

interface Due<K> {
  readonly key: K;
  readonly atMs: number;
  readonly order: number;
}

/** What is due when, one time for each key; of one time in the order in which they were set. */
export class Agenda<K> {
  readonly #heap = new Heap<Due<K>>(
    (one, other) => one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order),
  );
  readonly #slots = new Map<K, Slot<Due<K>>>();
  #order = 0;

  /** When the first is due; infinity when nothing is. */
  get nextAtMs(): number {
    return this.#heap.first?.atMs ?? Number.POSITIVE_INFINITY;
  }

  /** @param atMs infinity: never */
  set(key: K, atMs: number): void {
    this.delete(key);
    if (atMs < Number.POSITIVE_INFINITY)
      this.#slots.set(key, this.#heap.add({ key, atMs, order: this.#order++ }));
  }

  delete(key: K): void {
    const slot = this.#slots.get(key);
    if (slot === undefined) return;
    this.#heap.remove(slot);
    this.#slots.delete(key);
  }

  /** Takes out the first that is due. */
  take(nowMs: number): K | undefined {
    const first = this.#heap.first;
    if (first === undefined || first.atMs > nowMs) return undefined;
    this.delete(first.key);
    return first.key;
  }
}
