import type { StreamMarks } from "../platform/uplink-connection.ts";
import { putVarint, VarintReader } from "./varint.ts";

/** A run of sequences, both ends included. */
export type SequenceRange = readonly [first: number, last: number];

/** What became of a sequence: it was new, it was there already, or there is no room for one more range. */
export type Added = "added" | "known" | "full";

/**
 * The sequences that a receiver has of one stream: everything from 1 up to `through`, and runs above it.
 *
 * The number of runs is bounded. A sequence that would open one run too many is not taken up (`full`): the set
 * then says less than the truth, never more, and its owner has to remember that sequence elsewhere.
 */
export class SequenceRanges {
  readonly rangesMax: number;
  #through = 0;
  /** First and last of each run in turn, ascending; no run touches another or `through`. */
  #edges: number[] = [];

  constructor(rangesMax = 1_024) {
    this.rangesMax = rangesMax;
  }

  /** @throws RangeError when the marks are out of order, overlap or are no sequences */
  static fromMarks({ through, ranges }: StreamMarks, rangesMax?: number): SequenceRanges {
    const set = new SequenceRanges(rangesMax);
    if (!Number.isSafeInteger(through) || through < 0)
      throw new RangeError("through has to be a whole number from 0");
    set.#through = through;
    let before = through;
    for (const [first, last] of ranges) {
      if (!Number.isSafeInteger(first) || !Number.isSafeInteger(last) || last < first)
        throw new RangeError("a range has to be [first, last] in whole numbers");
      if (first <= before + 1) throw new RangeError("ranges have to ascend and stand apart");
      before = last;
      set.#edges.push(first, last);
    }
    if (set.rangeCount > set.rangesMax)
      throw new RangeError(`more than ${set.rangesMax} ranges of one stream`);
    return set;
  }

  /** Reads what {@link encode} wrote. @throws RangeError when it is damaged */
  static decode(bytes: Uint8Array, rangesMax?: number): SequenceRanges {
    const reader = new VarintReader(bytes);
    const through = reader.next();
    const count = reader.next();
    if (count > bytes.length) throw new RangeError("the record ends within its ranges");
    const ranges: SequenceRange[] = [];
    let at = through;
    for (let n = 0; n < count; n++) {
      const first = at + 2 + reader.next();
      at = first + reader.next();
      ranges.push([first, at]);
    }
    if (!reader.ended) throw new RangeError("the record goes on behind its ranges");
    return SequenceRanges.fromMarks({ through, ranges }, rangesMax);
  }

  /** Everything up to here is there or settled. */
  get through(): number {
    return this.#through;
  }

  /** The highest sequence of all; 0 while there is none. */
  get last(): number {
    return this.#edges.at(-1) ?? this.#through;
  }

  get rangeCount(): number {
    return this.#edges.length / 2;
  }

  has(sequence: number): boolean {
    if (sequence <= this.#through) return true;
    const run = this.#runFrom(sequence);
    return run < this.#edges.length && (this.#edges[run] ?? 0) <= sequence;
  }

  add(sequence: number): Added {
    // Nearly everything comes in order.
    if (sequence === this.#through + 1 && this.#edges.length === 0) {
      this.#through = sequence;
      return "added";
    }
    if (this.has(sequence)) return "known";
    const touches =
      sequence === this.#through + 1 || this.has(sequence + 1) || this.has(sequence - 1);
    if (!touches && this.rangeCount >= this.rangesMax) return "full";
    this.#insert(sequence, sequence);
    return "added";
  }

  /** Takes up everything that `other` has. @returns false when there was no room for all of it */
  merge(other: SequenceRanges): boolean {
    if (other.through > this.#through) this.#insert(1, other.through);
    const before = { through: this.#through, edges: [...this.#edges] };
    for (let at = 0; at < other.#edges.length; at += 2)
      this.#insert(other.#edges[at] ?? 0, other.#edges[at + 1] ?? 0);
    if (this.rangeCount <= this.rangesMax) return true;
    this.#through = before.through;
    this.#edges = before.edges;
    return false;
  }

  /**
   * Nothing below `first` will come any more: `through` goes up to it.
   * @returns what is missing for good: the gaps that were closed
   */
  settle(first: number): SequenceRange[] {
    const missing: SequenceRange[] = [];
    let expected = this.#through + 1;
    for (let at = 0; expected < first; at += 2) {
      const start = this.#edges[at] ?? first;
      if (expected < start) missing.push([expected, Math.min(start, first) - 1]);
      expected = Math.max(expected, (this.#edges[at + 1] ?? first) + 1);
    }
    if (first - 1 > this.#through) this.#insert(1, first - 1);
    return missing;
  }

  marks(): StreamMarks {
    const ranges: SequenceRange[] = [];
    for (let at = 0; at < this.#edges.length; at += 2)
      ranges.push([this.#edges[at] ?? 0, this.#edges[at + 1] ?? 0]);
    return { through: this.#through, ranges };
  }

  /** Gives up one sequence. This may split a run, and so take the number of runs one over its bound. */
  remove(sequence: number): void {
    if (!this.has(sequence)) return;
    if (sequence <= this.#through) {
      if (sequence < this.#through) this.#edges.unshift(sequence + 1, this.#through);
      this.#through = sequence - 1;
      return;
    }
    const at = this.#runFrom(sequence);
    const [first = 0, last = 0] = this.#edges.slice(at, at + 2);
    const left = first < sequence ? [first, sequence - 1] : [];
    const right = sequence < last ? [sequence + 1, last] : [];
    this.#edges.splice(at, 2, ...left, ...right);
  }

  clone(rangesMax = this.rangesMax): SequenceRanges {
    const copy = new SequenceRanges(rangesMax);
    copy.#through = this.#through;
    copy.#edges = this.#edges.length === 0 ? [] : [...this.#edges];
    return copy;
  }

  /** A few bytes: `through`, the number of runs, then gap and length of each. */
  encode(): Uint8Array {
    const bytes: number[] = [];
    putVarint(bytes, this.#through);
    putVarint(bytes, this.rangeCount);
    let before = this.#through;
    for (const [first, last] of this.marks().ranges) {
      putVarint(bytes, first - before - 2);
      putVarint(bytes, last - first);
      before = last;
    }
    return Uint8Array.from(bytes);
  }

  /** @returns the place in `#edges` of the first run that ends at or after `sequence` */
  #runFrom(sequence: number): number {
    let low = 0;
    let high = this.#edges.length / 2;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#edges[middle * 2 + 1] ?? 0) < sequence) low = middle + 1;
      else high = middle;
    }
    return low * 2;
  }

  /** Adds a run and joins it with whatever it touches. */
  #insert(from: number, to: number): void {
    if (to <= this.#through) return;
    let first = from;
    let last = to;
    const begin = this.#runFrom(first - 1);
    let end = begin;
    while (end < this.#edges.length && (this.#edges[end] ?? 0) <= last + 1) end += 2;
    if (end > begin) {
      first = Math.min(first, this.#edges[begin] ?? first);
      last = Math.max(last, this.#edges[end - 1] ?? last);
    }
    if (first <= this.#through + 1) {
      this.#through = last;
      this.#edges.splice(0, end);
    } else this.#edges.splice(begin, end - begin, first, last);
  }
}
