import type { Configuration } from "./configuration.ts";
import type { Entry } from "./entry.ts";

/** What a node has to find again after a restart, besides its log. */
export interface HardState {
  /** The latest term seen; 0 before the first. */
  readonly term: number;
  /** Who got the vote of this node in that term; 0 for nobody. */
  readonly vote: number;
  /** The last entry known to be committed. It may be old after a restart, never wrong. */
  readonly commit: number;
}

/** The state of the application in place of the log up to `index`. */
export interface Snapshot {
  /** The last entry that the state contains, from 1. */
  readonly index: number;
  /** Its term, from 1. */
  readonly term: number;
  /** In force after that entry. */
  readonly configuration: Configuration;
  readonly data: Uint8Array;
}

/**
 * What is durable, as the core reads it, synchronously. The caller writes to it what every `Ready` asks for. What it
 * gives is not changed later.
 */
export interface LogStorage {
  /** Read once, at the start. */
  initialState(): { readonly hardState: HardState; readonly configuration: Configuration };
  /** The first entry that is held: one after the compacted ones, or 1. */
  firstIndex(): number;
  /** The last entry that is held, or the last compacted one. */
  lastIndex(): number;
  /** Of an entry that is held, or of the last compacted one; `undefined` for others. The term of index 0 is 0. */
  term(index: number): number | undefined;
  /**
   * Entries from `from` to before `to`, as many as fit into `bytesMax` by `countFitting`, at least one.
   * @param to at most one after the last index
   * @returns `undefined` when the first of them is compacted
   */
  entries(from: number, to: number, bytesMax: number): readonly Entry[] | undefined;
  /**
   * For a member that needs entries that are gone; best of what is applied now, since a member that is not in it can not
   * take it. @returns `undefined` when none can be had at the moment
   */
  snapshot(): Snapshot | undefined;
}
