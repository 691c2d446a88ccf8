import type { Entry } from "./entry.ts";

const FIRST_SIZE = 16;
/** More than may be under way at once (`inFlightMax`), so that only one that is never acknowledged comes to this. */
const SPREAD_MAX = 65_536;

/**
 * What a lane has leased, oldest first. Most of it leaves in that order. A Map would do, but one through which tens of
 * thousands pass a second keeps V8's collector busy: each table that it outgrows holds on to the next one, and to
 * all that was in it.
 */
export class Leases {
  /** A ring, its size a power of two; empty places are those of updates that left out of order. */
  #ring: (Entry | undefined)[] = Array.from({ length: FIRST_SIZE });
  #head = 0;
  #tail = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get oldest(): Entry | undefined {
    return this.#ring[this.#placeOf(this.#head)];
  }

  /**
   * The oldest is so far behind that nothing more is to be leased: what left behind it has to be remembered one by one.
   * The connection that never acknowledges it stalls then, and is given up.
   */
  get isFull(): boolean {
    return this.#tail - this.#head >= SPREAD_MAX;
  }

  has(entry: Entry): boolean {
    return this.#ring[this.#placeOf(entry.leaseNumber)] === entry;
  }

  /** @param entry younger than all that are leased */
  add(entry: Entry): void {
    if (this.#tail - this.#head === this.#ring.length) this.#grow();
    entry.leaseNumber = this.#tail;
    this.#ring[this.#placeOf(this.#tail)] = entry;
    this.#tail++;
    this.#size++;
  }

  /** Does nothing where it is not leased. */
  delete(entry: Entry): void {
    if (!this.has(entry)) return;
    this.#ring[this.#placeOf(entry.leaseNumber)] = undefined;
    this.#size--;
    while (this.#head < this.#tail && this.oldest === undefined) this.#head++;
  }

  clear(): void {
    this.#ring.fill(undefined);
    this.#head = this.#tail;
    this.#size = 0;
  }

  *[Symbol.iterator](): Generator<Entry> {
    for (let number = this.#head; number < this.#tail; number++) {
      const entry = this.#ring[this.#placeOf(number)];
      if (entry !== undefined) yield entry;
    }
  }

  #placeOf(number: number): number {
    return number & (this.#ring.length - 1);
  }

  #grow(): void {
    const entries = [...this];
    this.#ring = Array.from({ length: 2 * this.#ring.length });
    for (const entry of entries) this.#ring[this.#placeOf(entry.leaseNumber)] = entry;
  }
}
