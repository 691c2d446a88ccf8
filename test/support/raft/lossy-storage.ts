import { type Configuration, NO_MEMBERS } from "../../../src/consensus/raft/configuration.ts";
import { countFitting, type Entry } from "../../../src/consensus/raft/entry.ts";
import type { HardState, LogStorage, Snapshot } from "../../../src/consensus/raft/log-storage.ts";

interface Contents {
  readonly hardState: HardState;
  readonly snapshot: Snapshot | undefined;
  readonly base: { readonly index: number; readonly term: number };
  readonly entries: readonly Entry[];
}

/** A log on a disk that forgets, when the power goes, what was not synced. */
export class LossyStorage implements LogStorage {
  #contents: Contents = {
    hardState: { term: 0, vote: 0, commit: 0 },
    snapshot: undefined,
    base: { index: 0, term: 0 },
    entries: [],
  };
  #durable: Contents = this.#contents;

  initialState(): { readonly hardState: HardState; readonly configuration: Configuration } {
    const { hardState, snapshot } = this.#contents;
    return { hardState, configuration: snapshot?.configuration ?? NO_MEMBERS };
  }

  firstIndex(): number {
    return this.#contents.base.index + 1;
  }

  lastIndex(): number {
    return this.#contents.base.index + this.#contents.entries.length;
  }

  term(index: number): number | undefined {
    const { base, entries } = this.#contents;
    return index === base.index ? base.term : entries[index - base.index - 1]?.term;
  }

  entries(from: number, to: number, bytesMax: number): readonly Entry[] | undefined {
    const { base, entries } = this.#contents;
    if (from <= base.index) return undefined;
    const start = from - base.index - 1;
    const end = to - base.index - 1;
    return entries.slice(start, start + countFitting(entries, start, end, bytesMax));
  }

  snapshot(): Snapshot | undefined {
    return this.#contents.snapshot;
  }

  /** What a `Ready` asks for. */
  write(
    hardState: HardState | undefined,
    entries: readonly Entry[],
    snapshot: Snapshot | undefined,
  ): void {
    if (hardState) this.#contents = { ...this.#contents, hardState };
    if (snapshot) {
      const base = { index: snapshot.index, term: snapshot.term };
      this.#contents = { ...this.#contents, snapshot, base, entries: [] };
    }
    const [first] = entries;
    if (first === undefined) return;
    const { base } = this.#contents;
    const added = entries.filter(({ index }) => index > base.index);
    const keep = Math.max(0, first.index - base.index - 1);
    if (keep > this.#contents.entries.length) throw new Error(`gap before ${first.index}`);
    const all = [...this.#contents.entries.slice(0, keep), ...added];
    this.#contents = { ...this.#contents, entries: all };
  }

  /** The application made a snapshot: it is kept, and the entries in it go. */
  compact(snapshot: Snapshot): void {
    const { base, entries } = this.#contents;
    const rest = entries.slice(snapshot.index - base.index);
    const next = { index: snapshot.index, term: snapshot.term };
    this.#contents = { ...this.#contents, snapshot, base: next, entries: rest };
  }

  /** Of an entry, as it would be found after a loss of power. */
  durableTerm(index: number): number | "compacted" | undefined {
    const { base, entries } = this.#durable;
    return index <= base.index ? "compacted" : entries[index - base.index - 1]?.term;
  }

  sync(): void {
    this.#durable = this.#contents;
  }

  losePower(): void {
    this.#contents = this.#durable;
  }
}
