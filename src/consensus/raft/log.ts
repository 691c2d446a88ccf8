import type { Entry, EntryId } from "./entry.ts";
import { countFitting, entriesBytes } from "./entry.ts";
import type { LogStorage, Snapshot } from "./log-storage.ts";
import { Unstable } from "./unstable.ts";

/** Entries that a leader wants appended behind `previous`. */
export interface Append {
  readonly previous: EntryId;
  readonly entries: readonly Entry[];
  /** What the leader knows to be committed. */
  readonly commit: number;
}

/**
 * Why nothing was appended. `mismatch`: the log has another entry, or none, in the place of the previous one;
 * `conflict`: an entry that is committed here would have to be replaced.
 */
export type AppendFault = "mismatch" | "conflict";

/** The log as the protocol sees it: the durable part and what is on the way there (Ongaro and Ousterhout 2014, 5.3). */
export class RaftLog {
  readonly #storage: LogStorage;
  readonly #applyingBytesMax: number;
  readonly #unstable: Unstable;
  #committed: number;
  #applying: number;
  #applied: number;
  #applyingBytes = 0;
  /** What is committed is not handed out before something of what was is applied. */
  #isApplyingPaused = false;

  /** @param applyingBytesMax of entries that are handed out to be applied, before the next ones are */
  constructor(storage: LogStorage, applyingBytesMax: number) {
    this.#storage = storage;
    this.#applyingBytesMax = applyingBytesMax;
    this.#unstable = new Unstable(storage.lastIndex() + 1);
    this.#committed = storage.firstIndex() - 1;
    this.#applying = this.#committed;
    this.#applied = this.#committed;
  }

  get committed(): number {
    return this.#committed;
  }

  get applied(): number {
    return this.#applied;
  }

  get unstable(): Unstable {
    return this.#unstable;
  }

  get firstIndex(): number {
    const snapshot = this.#unstable.snapshot;
    return snapshot === undefined ? this.#storage.firstIndex() : snapshot.index + 1;
  }

  get lastIndex(): number {
    return this.#unstable.lastIndex ?? this.#storage.lastIndex();
  }

  get last(): EntryId {
    const index = this.lastIndex;
    return { index, term: this.term(index) ?? 0 };
  }

  /** `undefined` for what is compacted, and for what is not there yet. */
  term(index: number): number | undefined {
    const term = this.#unstable.term(index);
    if (term !== undefined) return term;
    if (index + 1 < this.firstIndex || index > this.lastIndex) return undefined;
    return this.#storage.term(index);
  }

  has({ index, term }: EntryId): boolean {
    return this.term(index) === term;
  }

  /** Whether a log that ends so is as good as this one (Ongaro and Ousterhout 2014, section 5.4.1). */
  isUpToDate(other: EntryId): boolean {
    const { term, index } = this.last;
    return other.term > term || (other.term === term && other.index >= index);
  }

  /** Snapshot for a follower that needs what was compacted. */
  snapshot(): Snapshot | undefined {
    return this.#unstable.snapshot ?? this.#storage.snapshot();
  }

  /**
   * Appends what is not there yet, and learns what is committed.
   * @returns the last index that the log shares with the leader, or why nothing was done
   */
  tryAppend({ previous, entries, commit }: Append): number | AppendFault {
    if (!this.has(previous)) return "mismatch";
    const last = previous.index + entries.length;
    const at = entries.findIndex((entry) => !this.has(entry));
    const first = entries[at];
    if (first !== undefined) {
      if (first.index <= this.#committed) return "conflict";
      this.append(at === 0 ? entries : entries.slice(at), first.index);
    }
    this.commitTo(Math.min(commit, last));
    return last;
  }

  /** @param from index of the first of them, beyond what is committed */
  append(entries: readonly Entry[], from: number): void {
    this.#unstable.append(entries, from);
  }

  /**
   * The last entry up to `index` whose term is `term` at most: further on, a log that has `term` at `index` can not be
   * the same. Terms never fall along a log, hence the halving.
   * @returns term 0 when nothing is known there
   */
  lastWithin(index: number, term: number): EntryId {
    if (index > this.lastIndex) return { index, term: 0 };
    let low = this.firstIndex - 1;
    if (index < low) return { index, term: 0 };
    const lowTerm = this.term(low);
    if (lowTerm === undefined || lowTerm > term) return { index: Math.max(0, low - 1), term: 0 };
    let high = index;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.term(middle) ?? Number.POSITIVE_INFINITY) <= term) low = middle;
      else high = middle - 1;
    }
    return { index: low, term: this.term(low) ?? 0 };
  }

  /** @returns whether there is such an entry; if not, nothing changes */
  commitTo(index: number): boolean {
    if (index > this.lastIndex) return false;
    this.#committed = Math.max(this.#committed, index);
    return true;
  }

  /** Commits up to `index` if the entry there is of `term` (section 5.4.2). @returns whether that is news */
  tryCommit({ index, term }: EntryId): boolean {
    return index > this.#committed && this.has({ index, term }) && this.commitTo(index);
  }

  /** A snapshot takes the place of everything. */
  restore(snapshot: Snapshot): void {
    this.#committed = snapshot.index;
    this.#unstable.restore(snapshot);
  }

  /** @returns `undefined` when the first of them is compacted */
  entriesFrom(index: number, bytesMax: number): readonly Entry[] | undefined {
    const end = this.lastIndex + 1;
    return index >= end ? [] : this.slice(index, end, bytesMax);
  }

  /** From `from` to before `to`, as many as fit, at least one. @returns `undefined` when the first is compacted */
  slice(from: number, to: number, bytesMax: number): readonly Entry[] | undefined {
    if (from < this.firstIndex) return undefined;
    const { offset } = this.#unstable;
    if (from >= offset) return this.#unstableFitting(from, to, bytesMax);
    const cut = Math.min(to, offset);
    const stored = this.#storage.entries(from, cut, bytesMax);
    if (stored === undefined || to <= offset || stored.length < cut - from) return stored;
    const rest = bytesMax - entriesBytes(stored);
    if (rest <= 0) return stored;
    const more = this.#unstableFitting(offset, to, rest);
    const isTooMuch = more.length === 1 && entriesBytes(more) > rest;
    return isTooMuch ? stored : [...stored, ...more];
  }

  /** Whether something can be applied. @param unstable also what is not durable here yet */
  hasNextCommitted(unstable: boolean): boolean {
    if (this.#isApplyingPaused || this.#unstable.snapshot !== undefined) return false;
    return this.#applying < this.#appliableIndex(unstable);
  }

  /** A page of what can be applied. */
  nextCommitted(unstable: boolean): readonly Entry[] {
    if (!this.hasNextCommitted(unstable)) return [];
    const bytesMax = this.#applyingBytesMax - this.#applyingBytes;
    return this.slice(this.#applying + 1, this.#appliableIndex(unstable) + 1, bytesMax) ?? [];
  }

  /** A page was handed out. */
  acceptApplying(page: readonly Entry[], unstable: boolean): void {
    const last = page.at(-1);
    if (last === undefined) return;
    this.#applying = last.index;
    this.#applyingBytes += entriesBytes(page);
    this.#isApplyingPaused =
      this.#applyingBytes >= this.#applyingBytesMax || last.index < this.#appliableIndex(unstable);
  }

  /** Everything up to `index` is applied. @param bytes of the page that it ends, or 0 */
  appliedTo(index: number, bytes: number): void {
    this.#applied = Math.max(this.#applied, index);
    this.#applying = Math.max(this.#applying, index);
    this.#applyingBytes = Math.max(0, this.#applyingBytes - bytes);
    this.#isApplyingPaused = this.#applyingBytes >= this.#applyingBytesMax;
  }

  /** Whether an entry that is committed and not applied is one that `matches`. */
  hasUnapplied(matches: (entry: Entry) => boolean): boolean {
    let from = this.#applied + 1;
    while (from <= this.#committed) {
      const page = this.slice(from, this.#committed + 1, this.#applyingBytesMax);
      if (page === undefined || page.length === 0) return false;
      if (page.some(matches)) return true;
      from += page.length;
    }
    return false;
  }

  #unstableFitting(from: number, to: number, bytesMax: number): readonly Entry[] {
    const { entries, at } = this.#unstable.view(from);
    const count = countFitting(entries, at, at + to - from, bytesMax);
    return this.#unstable.slice(from, from + count);
  }

  #appliableIndex(unstable: boolean): number {
    return unstable ? this.#committed : Math.min(this.#committed, this.#unstable.offset - 1);
  }
}
