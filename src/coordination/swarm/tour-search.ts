import type { Distances } from "./distances.ts";

/** Places that are moved together at most. */
const SEGMENT_MAX = 3;
/** Less than this share of the longest distance is no improvement, but what rounding makes of none. */
const IMPROVEMENT_SHARE_MIN = 1e-9;

/**
 * Makes tours shorter until neither 2-opt (Croes 1958) nor Or-opt (Or 1976) helps any more, with neighbour lists and
 * don't-look bits (Bentley, "Fast Algorithms for Geometric Traveling Salesman Problems", 1992).
 */
export class TourSearch {
  readonly #distances: Distances;
  readonly #size: number;
  readonly #nearest: Int32Array;
  readonly #nearestCount: number;
  readonly #gainMin: number;
  readonly #place: Int32Array;
  readonly #scratch: Int32Array;
  readonly #queue: Int32Array;
  readonly #queued: Uint8Array;
  #queueHead = 0;
  #queueCount = 0;
  #tour: Int32Array;

  /** @param nearest as of {@link Distances.nearest} for that count */
  constructor(distances: Distances, nearest: Int32Array, nearestCount: number) {
    this.#distances = distances;
    this.#size = distances.size;
    this.#nearest = nearest;
    this.#nearestCount = nearestCount;
    this.#gainMin = IMPROVEMENT_SHARE_MIN * distances.longest;
    this.#place = new Int32Array(this.#size);
    this.#scratch = new Int32Array(this.#size);
    this.#queue = new Int32Array(this.#size);
    this.#queued = new Uint8Array(this.#size);
    this.#tour = this.#scratch;
  }

  /** Changes the tour in place. */
  improve(tour: Int32Array): void {
    this.#tour = tour;
    this.#queueHead = 0;
    this.#queueCount = 0;
    for (let at = 0; at < this.#size; at++) {
      this.#place[tour[at] ?? 0] = at;
      this.#look(tour[at] ?? 0);
    }
    while (this.#queueCount > 0) {
      const city = this.#queue[this.#queueHead] ?? 0;
      this.#queueHead = (this.#queueHead + 1) % this.#size;
      this.#queueCount--;
      this.#queued[city] = 0;
      while (this.#twoOpt(city) || this.#orOpt(city));
    }
  }

  #look(city: number): void {
    if (this.#queued[city] === 1) return;
    this.#queued[city] = 1;
    this.#queue[(this.#queueHead + this.#queueCount++) % this.#size] = city;
  }

  #at(place: number): number {
    const size = this.#size;
    return this.#tour[place < 0 ? place + size : place >= size ? place - size : place] ?? 0;
  }

  #next(city: number): number {
    return this.#at((this.#place[city] ?? 0) + 1);
  }

  #before(city: number): number {
    return this.#at((this.#place[city] ?? 0) - 1);
  }

  #d(from: number, to: number): number {
    return this.#distances.between(from, to);
  }

  /** Puts two other edges in the place of one at the city and a second one. */
  #twoOpt(city: number): boolean {
    const next = this.#next(city);
    const before = this.#before(city);
    const nextLength = this.#d(city, next);
    const beforeLength = this.#d(before, city);
    for (let at = 0; at < this.#nearestCount; at++) {
      const near = this.#nearest[city * this.#nearestCount + at] ?? 0;
      const length = this.#d(city, near);
      if (length >= nextLength && length >= beforeLength) return false;
      const nearNext = this.#next(near);
      const nearBefore = this.#before(near);
      if (nextLength + this.#d(near, nearNext) - length - this.#d(next, nearNext) > this.#gainMin) {
        this.#reverse(next, near);
        this.#lookAll(city, next, near, nearNext);
        return true;
      }
      if (
        beforeLength + this.#d(nearBefore, near) - length - this.#d(before, nearBefore) >
        this.#gainMin
      ) {
        this.#reverse(city, nearBefore);
        this.#lookAll(before, city, nearBefore, near);
        return true;
      }
    }
    return false;
  }

  /** Reverses the way from one place to another one behind it, or the rest of the tour, whichever is shorter. */
  #reverse(first: number, last: number): void {
    const size = this.#size;
    let low = this.#place[first] ?? 0;
    let high = this.#place[last] ?? 0;
    let length = (high - low + size) % size;
    if (2 * length > size) {
      [low, high] = [(high + 1) % size, (low - 1 + size) % size];
      length = (high - low + size) % size;
    }
    for (let swaps = (length + 1) >> 1; swaps > 0; swaps--) {
      const one = this.#tour[low] ?? 0;
      const other = this.#tour[high] ?? 0;
      this.#put(other, low);
      this.#put(one, high);
      low = low + 1 === size ? 0 : low + 1;
      high = high === 0 ? size - 1 : high - 1;
    }
  }

  #put(city: number, place: number): void {
    this.#tour[place] = city;
    this.#place[city] = place;
  }

  /** Moves the city, with up to two behind or before it, to beside a place that is near it. */
  #orOpt(city: number): boolean {
    for (let length = 1; length <= Math.min(SEGMENT_MAX, this.#size - 3); length++)
      for (const direction of [1, -1]) {
        if (this.#moveSegment(city, length, direction)) return true;
        if (length === 1) break;
      }
    return false;
  }

  /** The segment begins at the city and goes on in a direction. The city becomes its end at the near place. */
  #moveSegment(city: number, length: number, direction: number): boolean {
    const start = this.#place[city] ?? 0;
    const end = this.#at(start + direction * (length - 1));
    const outerCity = this.#at(start - direction);
    const outerEnd = this.#at(start + direction * length);
    const gain = this.#d(outerCity, city) + this.#d(end, outerEnd) - this.#d(outerCity, outerEnd);
    for (let at = 0; at < this.#nearestCount; at++) {
      const near = this.#nearest[city * this.#nearestCount + at] ?? 0;
      const toNear = this.#d(city, near);
      if (gain - toNear <= this.#gainMin) return false;
      const offset = direction * ((this.#place[near] ?? 0) - start);
      if ((offset + this.#size) % this.#size < length) continue;
      for (const side of [1, -1]) {
        const other = this.#at((this.#place[near] ?? 0) + side);
        // The gap that the segment leaves is not one between two others.
        if ((near === outerCity && other === city) || (near === outerEnd && other === end))
          continue;
        const cost = toNear + this.#d(end, other) - this.#d(near, other);
        if (gain - cost <= this.#gainMin) continue;
        this.#splice(city, length, direction, near, side);
        this.#lookAll(outerCity, outerEnd, near, other);
        this.#look(city);
        this.#look(end);
        return true;
      }
    }
    return false;
  }

  /** Writes the tour anew with the segment between `near` and the place on that side of it. */
  #splice(city: number, length: number, direction: number, near: number, side: number): void {
    const size = this.#size;
    const start = this.#place[city] ?? 0;
    // From the city to its end in the order of the tour, and first what is behind the segment.
    const first = direction === 1 ? start : start - length + 1;
    let to = 0;
    for (let step = length; step < size; step++) {
      const other = this.#at((first + step + size) % size);
      if (other === near && side === -1)
        to = this.#copySegment(start + direction * (length - 1), -direction, length, to);
      this.#scratch[to++] = other;
      if (other === near && side === 1) to = this.#copySegment(start, direction, length, to);
    }
    this.#tour.set(this.#scratch);
    for (let at = 0; at < size; at++) this.#place[this.#tour[at] ?? 0] = at;
  }

  #copySegment(from: number, direction: number, length: number, to: number): number {
    for (let step = 0; step < length; step++)
      this.#scratch[to + step] = this.#at(from + direction * step);
    return to + length;
  }

  #lookAll(a: number, b: number, c: number, d: number): void {
    this.#look(a);
    this.#look(b);
    this.#look(c);
    this.#look(d);
  }
}
