import type { Series } from "../data/windows.ts";

/** Points that are allocated to begin with. */
const POINTS_FIRST = 1_024;

/** What was heard at one step of the grid: a value for each column, NaN where there was none. */
export interface HistoryPoint {
  readonly slot: number;
  readonly row: Float32Array;
}

/** How much of a history is kept. */
export interface HistoryBounds {
  readonly columns: number;
  readonly everyMs: number;
  /** Older points go, and so do the oldest of more points than fit into it. */
  readonly pointsMax: number;
}

/**
 * What was recorded lately, in memory: at each step of the grid where anything was heard a value for each column, NaN where
 * there was none. A ring of float32 that grows up to its bound.
 */
export class StreamHistory {
  readonly #bounds: HistoryBounds;
  #slots: Float64Array;
  #values: Float32Array;
  #first = 0;
  #length = 0;

  constructor(bounds: HistoryBounds) {
    this.#bounds = bounds;
    const points = Math.min(POINTS_FIRST, bounds.pointsMax);
    this.#slots = new Float64Array(points);
    this.#values = new Float32Array(points * bounds.columns);
  }

  get length(): number {
    return this.#length;
  }

  /** Step of the grid of the newest point; -Infinity when there is none. */
  get newestSlot(): number {
    return this.#length === 0 ? Number.NEGATIVE_INFINITY : this.#slotAt(this.#length - 1);
  }

  /** Bytes of memory. */
  get bytes(): number {
    return this.#slots.byteLength + this.#values.byteLength;
  }

  /** @param slot above the newest @returns false, and nothing is done, for one that is not */
  push(slot: number, row: Float32Array): boolean {
    const { columns, pointsMax } = this.#bounds;
    if (!(slot > this.newestSlot)) return false;
    this.#forgetBefore(slot - pointsMax + 1);
    if (this.#length === this.#slots.length) this.#grow();
    if (this.#length === this.#slots.length) this.#shift();
    const place = (this.#first + this.#length) % this.#slots.length;
    this.#slots[place] = slot;
    this.#values.set(row, place * columns);
    this.#length++;
    return true;
  }

  /** Moves the points from one slot on ahead; what is too old by that goes. */
  move(fromSlot: number, by: number): void {
    for (let at = this.#length - 1; at >= 0 && this.#slotAt(at) >= fromSlot; at--)
      this.#slots[(this.#first + at) % this.#slots.length] = this.#slotAt(at) + by;
    this.#forgetBefore(this.newestSlot - this.#bounds.pointsMax + 1);
  }

  /** @returns points from a slot on, oldest first; copies */
  from(slot: number): readonly HistoryPoint[] {
    const { columns } = this.#bounds;
    const points: HistoryPoint[] = [];
    for (let at = this.#length - 1; at >= 0 && this.#slotAt(at) >= slot; at--) {
      const place = ((this.#first + at) % this.#slots.length) * columns;
      points.push({ slot: this.#slotAt(at), row: this.#values.slice(place, place + columns) });
    }
    return points.reverse();
  }

  /**
   * @param columns the first so many
   * @returns the last points, a copy
   */
  series(columns: number, pointsMax = this.#length): Series {
    const { everyMs, columns: stride } = this.#bounds;
    const count = Math.min(this.#length, pointsMax);
    const atMs = new Float64Array(count);
    const values = new Float32Array(count * columns);
    const skipped = this.#length - count;
    for (let at = 0; at < count; at++) {
      const place = (this.#first + skipped + at) % this.#slots.length;
      atMs[at] = (this.#slots[place] as number) * everyMs;
      const from = place * stride;
      values.set(this.#values.subarray(from, from + columns), at * columns);
    }
    return { atMs, values, channels: columns };
  }

  #slotAt(at: number): number {
    return this.#slots[(this.#first + at) % this.#slots.length] as number;
  }

  #forgetBefore(slot: number): void {
    while (this.#length > 0 && this.#slotAt(0) < slot) this.#shift();
  }

  #shift(): void {
    this.#first = (this.#first + 1) % this.#slots.length;
    this.#length--;
  }

  #grow(): void {
    const { pointsMax, columns } = this.#bounds;
    const points = Math.min(pointsMax, this.#slots.length * 2);
    if (points === this.#slots.length) return;
    const slots = new Float64Array(points);
    const values = new Float32Array(points * columns);
    for (let at = 0; at < this.#length; at++) {
      const place = (this.#first + at) % this.#slots.length;
      slots[at] = this.#slots[place] as number;
      values.set(this.#values.subarray(place * columns, (place + 1) * columns), at * columns);
    }
    this.#slots = slots;
    this.#values = values;
    this.#first = 0;
  }
}
