import type { Entry } from "./entry.ts";
import type { Snapshot } from "./log-storage.ts";

/**
 * The end of the log that is not known to be durable: a snapshot, or entries, of which some were already handed out to be
 * written. While a writer is behind, what is here wins over what it has written.
 */
export class Unstable {
  #snapshot: Snapshot | undefined;
  #isSnapshotInProgress = false;
  #entries: Entry[] = [];
  #offset: number;
  #inProgressEnd: number;

  /** @param offset the first index that is not durable */
  constructor(offset: number) {
    this.#offset = offset;
    this.#inProgressEnd = offset;
  }

  /** Index of the first entry here, or of the one that would be. */
  get offset(): number {
    return this.#offset;
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  /** Handed out to be written or not. */
  get snapshot(): Snapshot | undefined {
    return this.#snapshot;
  }

  get nextSnapshot(): Snapshot | undefined {
    return this.#isSnapshotInProgress ? undefined : this.#snapshot;
  }

  get hasNextEntries(): boolean {
    return this.#inProgressEnd < this.#offset + this.#entries.length;
  }

  /** The last index known here. */
  get lastIndex(): number | undefined {
    if (this.#entries.length > 0) return this.#offset + this.#entries.length - 1;
    return this.#snapshot?.index;
  }

  term(index: number): number | undefined {
    if (index >= this.#offset) return this.#entries[index - this.#offset]?.term;
    return this.#snapshot?.index === index ? this.#snapshot.term : undefined;
  }

  /** Entries that nobody was given to write yet. */
  nextEntries(): readonly Entry[] {
    return this.#entries.slice(this.#inProgressEnd - this.#offset);
  }

  /** How the entries are counted by `countFitting` without copying them. */
  view(from: number): { readonly entries: readonly Entry[]; readonly at: number } {
    return { entries: this.#entries, at: from - this.#offset };
  }

  /** From `from`, which is not before the offset, to before `to`. */
  slice(from: number, to: number): readonly Entry[] {
    return this.#entries.slice(from - this.#offset, to - this.#offset);
  }

  /** Everything here was handed out. */
  accept(): void {
    this.#inProgressEnd = this.#offset + this.#entries.length;
    this.#isSnapshotInProgress = this.#snapshot !== undefined;
  }

  /** Entries up to this one are durable, unless another one took its place meanwhile. */
  stableTo(index: number, term: number): void {
    if (index < this.#offset || this.term(index) !== term) return;
    this.#entries = this.#entries.slice(index + 1 - this.#offset);
    this.#offset = index + 1;
    this.#inProgressEnd = Math.max(this.#inProgressEnd, this.#offset);
  }

  stableSnapshot(index: number): void {
    if (this.#snapshot?.index !== index) return;
    this.#snapshot = undefined;
    this.#isSnapshotInProgress = false;
  }

  restore(snapshot: Snapshot): void {
    this.#offset = snapshot.index + 1;
    this.#inProgressEnd = this.#offset;
    this.#entries = [];
    this.#snapshot = snapshot;
    this.#isSnapshotInProgress = false;
  }

  /** Appends, in the place of what is there from the first of them on. */
  append(entries: readonly Entry[], from: number): void {
    if (from <= this.#offset) {
      this.#offset = from;
      this.#inProgressEnd = from;
      this.#entries = [...entries];
      return;
    }
    this.#entries.length = from - this.#offset;
    this.#inProgressEnd = Math.min(this.#inProgressEnd, from);
    for (const entry of entries) this.#entries.push(entry);
  }
}
