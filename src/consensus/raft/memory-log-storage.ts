import type { Configuration } from "./configuration.ts";
import { NO_MEMBERS } from "./configuration.ts";
import type { Entry } from "./entry.ts";
import { countFitting } from "./entry.ts";
import type { HardState, LogStorage, Snapshot } from "./log-storage.ts";

/** A log in memory: of tests, or as the readable face of a log on disk. */
export class MemoryLogStorage implements LogStorage {
  #hardState: HardState = { term: 0, vote: 0, commit: 0 };
  #snapshot: Snapshot | undefined;
  #entries: Entry[] = [];
  /** The last compacted entry. */
  #base = { index: 0, term: 0 };

  initialState(): { readonly hardState: HardState; readonly configuration: Configuration } {
    const configuration = this.#snapshot?.configuration ?? NO_MEMBERS;
    return { hardState: this.#hardState, configuration };
  }

  firstIndex(): number {
    return this.#base.index + 1;
  }

  lastIndex(): number {
    return this.#base.index + this.#entries.length;
  }

  term(index: number): number | undefined {
    if (index === this.#base.index) return this.#base.term;
    return this.#entries[index - this.#base.index - 1]?.term;
  }

  entries(from: number, to: number, bytesMax: number): readonly Entry[] | undefined {
    if (from <= this.#base.index) return undefined;
    const start = from - this.#base.index - 1;
    const end = Math.min(to - this.#base.index - 1, this.#entries.length);
    return this.#entries.slice(start, start + countFitting(this.#entries, start, end, bytesMax));
  }

  snapshot(): Snapshot | undefined {
    return this.#snapshot;
  }

  setHardState(hardState: HardState): void {
    this.#hardState = hardState;
  }

  /**
   * Takes the place of the log. @throws {Error} when a newer snapshot is there already
   */
  applySnapshot(snapshot: Snapshot): void {
    this.#expectNewer(snapshot.index);
    this.#snapshot = snapshot;
    this.#base = { index: snapshot.index, term: snapshot.term };
    this.#entries = [];
  }

  /**
   * Keeps a snapshot that the application made, beside the log.
   * @throws {Error} when a newer one is there already, or the log does not reach that far
   */
  createSnapshot(index: number, configuration: Configuration, data: Uint8Array): void {
    this.#expectNewer(index);
    const term = this.term(index);
    if (term === undefined) throw new Error(`there is no entry ${index} to make a snapshot of`);
    this.#snapshot = { index, term, configuration, data };
  }

  /**
   * Lets go of entries up to `index`.
   * @throws {Error} when they are gone already, or the log does not reach that far
   */
  compact(index: number): void {
    const term = this.term(index);
    if (index <= this.#base.index || term === undefined)
      throw new Error(`entries can be compacted after ${this.#base.index}, to ${this.lastIndex()}`);
    this.#entries = this.#entries.slice(index - this.#base.index);
    this.#base = { index, term };
  }

  /**
   * Writes entries, in the place of what is there from the first of them on. What is compacted already is left out.
   * @throws {Error} when they leave a gap
   */
  append(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    const skipped = Math.max(0, this.firstIndex() - first.index);
    if (skipped >= entries.length) return;
    const length = first.index + skipped - this.firstIndex();
    if (length > this.#entries.length)
      throw new Error(`entry ${first.index} would leave a gap after ${this.lastIndex()}`);
    this.#entries.length = length;
    for (let at = skipped; at < entries.length; at++) {
      const entry = entries[at];
      if (entry !== undefined) this.#entries.push(entry);
    }
  }

  #expectNewer(index: number): void {
    if (this.#snapshot !== undefined && this.#snapshot.index >= index)
      throw new Error(`a snapshot of entry ${this.#snapshot.index} is there, newer than ${index}`);
  }
}
