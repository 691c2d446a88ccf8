import type { KeyValueStore, StoreOperation } from "../../platform/key-value-store.ts";
import { LostLogError } from "../ordering/lost-log.ts";
import type { Entry } from "../raft/entry.ts";
import type { HardState, Snapshot } from "../raft/log-storage.ts";
import { MemoryLogStorage } from "../raft/memory-log-storage.ts";
import { decodeEntries, encodeEntries } from "./entry-codec.ts";
import { type Identity, isIdentity } from "./identity.ts";
import { decodeSnapshot, encodeSnapshot } from "./message-codec.ts";
import { type Roster, rosterJson, rosterOf } from "./roster.ts";

/** Entries that are read at a stretch, and their bytes. */
const PAGE_ENTRIES = 1_024;
const PAGE_BYTES_MAX = 4 * 1_048_576;
const INDEX_DIGITS = 16;
/** Old entries that are deleted along with a write: all of them at once would hold the write up. */
const TRIMMED_PER_WRITE = 256;
const NOTHING: HardState = { term: 0, vote: 0, commit: 0 };

/** What has to be on disk. */
export interface LogChange {
  readonly hardState?: HardState | undefined;
  /** They take the place of what is there from the first of them on. */
  readonly entries?: readonly Entry[];
  /** Takes the place of the log. */
  readonly snapshot?: Snapshot | undefined;
  /** Wait until it survives power loss. */
  readonly durable: boolean;
}

/** How a member came into its group. */
export interface Origin extends Identity {
  readonly sponsors: Roster;
}

/**
 * The log of one member of one group, in the agent's store, with a face in memory for the core to read: a group keeps
 * what its last snapshot does not contain, and that is bounded.
 */
export class LogDisk {
  readonly log = new MemoryLogStorage();
  readonly identity: Identity;
  /** Who belonged to the group when this member was let in; nobody for a founder. */
  readonly sponsors: Roster;
  readonly #store: KeyValueStore;
  readonly #prefix: string;
  readonly #generation: number;
  /** Entries up to here are in the snapshot, and still on disk from `#trimFrom` on. */
  #trimTo = 0;
  #trimFrom = 1;

  private constructor(store: KeyValueStore, group: string, { sponsors, ...identity }: Origin) {
    this.identity = identity;
    this.sponsors = sponsors;
    this.#store = store;
    this.#prefix = `c/${group}/`;
    this.#generation = store.generation;
  }

  /**
   * Begins the log of a member that has never said anything in this group. Durable when resolved: who finds it again
   * knows that nothing was lost before.
   * @param group in hexadecimal digits @param first what it begins with @param also what is written with it
   * @throws StoreError
   */
  static async begin(
    store: KeyValueStore,
    group: string,
    { number, log, sponsors }: Origin,
    first: Pick<LogChange, "snapshot"> & { readonly hardState: HardState } = { hardState: NOTHING },
    also: readonly StoreOperation[] = [],
  ): Promise<LogDisk> {
    const disk = new LogDisk(store, group, { number, log, sponsors });
    const text = JSON.stringify({ number, log, sponsors: rosterJson(sponsors) });
    const value = new TextEncoder().encode(text);
    const own = { type: "put", key: `c/${group}/i`, value } as const;
    await disk.#write({ ...first, durable: true }, [own, ...also]);
    return disk;
  }

  /**
   * Reads a log that was begun.
   * @throws LostLogError when the store lost entries since it was begun, or some are missing @throws StoreError
   */
  static async open(store: KeyValueStore, group: string): Promise<LogDisk> {
    const stored = await store.get(`c/${group}/i`);
    const origin = stored && originOf(readJson(stored));
    if (origin === undefined) throw new LostLogError("who the member is is not there");
    const disk = new LogDisk(store, group, origin);
    await disk.#load();
    return disk;
  }

  /** Forgets everything of a group. Durable when resolved. @throws StoreError */
  static async remove(store: KeyValueStore, group: string): Promise<void> {
    const { gte, lt } = rangeOf(`c/${group}/`);
    for (;;) {
      const entries = await store.range({ gte, lt, limit: PAGE_ENTRIES, bytesMax: PAGE_BYTES_MAX });
      if (entries.length === 0) return;
      const operations = entries.map(([key]) => ({ type: "del", key }) as const);
      await store.write(operations, { durable: true });
    }
  }

  /**
   * Writes, and lets the core see it once that is done. To be called again with the same after a failure.
   * @throws StoreError `store.corrupt` when the store lost something meanwhile: this member is lost
   */
  write(change: LogChange): Promise<void> {
    return this.#write(change, []);
  }

  /**
   * Keeps a snapshot that the application made, and lets go of entries up to `compactTo`, which it contains: they go bit
   * by bit with the writes that follow.
   * @throws StoreError as {@link write} does
   */
  async keepSnapshot(snapshot: Snapshot, compactTo: number): Promise<void> {
    const operations: StoreOperation[] = [
      { type: "put", key: `${this.#prefix}s`, value: encodeSnapshot(snapshot) },
    ];
    await this.#store.write(operations, { durable: true, ifGeneration: this.#generation });
    this.log.createSnapshot(snapshot.index, snapshot.configuration, snapshot.data);
    if (compactTo < this.log.firstIndex()) return;
    this.log.compact(compactTo);
    this.#trimTo = compactTo;
  }

  async #write(
    { hardState, entries = [], snapshot, durable }: LogChange,
    operations: StoreOperation[],
  ): Promise<void> {
    const lastIndex = this.log.lastIndex();
    if (snapshot !== undefined) {
      operations.push({ type: "put", key: `${this.#prefix}s`, value: encodeSnapshot(snapshot) });
      this.#deleteEntries(operations, this.#trimFrom, lastIndex);
    }
    for (const entry of entries)
      operations.push({
        type: "put",
        key: this.#keyOf(entry.index),
        value: encodeEntries([entry]),
      });
    const last = entries.at(-1);
    if (last !== undefined && snapshot === undefined)
      this.#deleteEntries(operations, last.index + 1, lastIndex);
    if (hardState !== undefined) operations.push(this.#hardOperation(hardState));
    const trimmedTo =
      snapshot?.index ?? Math.min(this.#trimTo, this.#trimFrom + TRIMMED_PER_WRITE - 1);
    if (snapshot === undefined) this.#deleteEntries(operations, this.#trimFrom, trimmedTo);
    if (operations.length > 0)
      await this.#store.write(operations, { durable, ifGeneration: this.#generation });
    this.#trimFrom = Math.max(this.#trimFrom, trimmedTo + 1);
    if (snapshot !== undefined) this.log.applySnapshot(snapshot);
    this.log.append(entries);
    if (hardState !== undefined) this.log.setHardState(hardState);
  }

  async #load(): Promise<void> {
    const stored = await this.#store.get(`${this.#prefix}h`);
    if (stored === undefined) throw new LostLogError("what the member has promised is not there");
    const { generation, ...hardState } = readHard(stored);
    if (generation !== this.#generation)
      throw new LostLogError("the store was repaired since, and may have lost entries");
    const snapshotBytes = await this.#store.get(`${this.#prefix}s`);
    const snapshot = snapshotBytes && decodeSnapshot(snapshotBytes);
    if (snapshotBytes !== undefined && snapshot === undefined)
      throw new LostLogError("the snapshot can not be read");
    if (snapshot !== undefined) this.log.applySnapshot(snapshot);
    await this.#findTrimmable();
    await this.#loadEntries();
    if (hardState.commit > this.log.lastIndex())
      throw new LostLogError(
        `committed were ${hardState.commit} entries, ${this.log.lastIndex()} are there`,
      );
    this.log.setHardState(hardState);
  }

  /** What was to be deleted when the process ended, or was kept for members that lagged. */
  async #findTrimmable(): Promise<void> {
    const [oldest] = await this.#store.range({ ...rangeOf(`${this.#prefix}e/`), limit: 1 });
    if (oldest === undefined) return;
    this.#trimFrom = Number(oldest[0].slice(-INDEX_DIGITS));
    this.#trimTo = this.log.firstIndex() - 1;
  }

  async #loadEntries(): Promise<void> {
    const { lt } = rangeOf(`${this.#prefix}e/`);
    let gte = this.#keyOf(this.log.firstIndex());
    for (;;) {
      const page = await this.#store.range({
        gte,
        lt,
        limit: PAGE_ENTRIES,
        bytesMax: PAGE_BYTES_MAX,
      });
      const entries: Entry[] = [];
      for (const [key, value] of page) {
        const index = Number(key.slice(-INDEX_DIGITS));
        const [entry] = decodeEntries(value, index, 1) ?? [];
        if (entry === undefined || index !== this.log.lastIndex() + entries.length + 1)
          throw new LostLogError(`entry ${index} can not be read, or one before it is missing`);
        entries.push(entry);
      }
      if (entries.length === 0) return;
      this.log.append(entries);
      gte = this.#keyOf(this.log.lastIndex() + 1);
    }
  }

  #deleteEntries(operations: StoreOperation[], from: number, to: number): void {
    for (let index = from; index <= to; index++)
      operations.push({ type: "del", key: this.#keyOf(index) });
  }

  #keyOf(index: number): string {
    return `${this.#prefix}e/${String(index).padStart(INDEX_DIGITS, "0")}`;
  }

  #hardOperation(hardState: HardState): StoreOperation {
    const text = JSON.stringify({ ...hardState, generation: this.#generation });
    return { type: "put", key: `${this.#prefix}h`, value: new TextEncoder().encode(text) };
  }
}

function rangeOf(prefix: string): { readonly gte: string; readonly lt: string } {
  return { gte: prefix, lt: `${prefix}~` };
}

function originOf(value: unknown): Origin | undefined {
  if (!isIdentity(value)) return undefined;
  const { number, log, sponsors } = value as Identity & { readonly sponsors?: unknown };
  const roster = rosterOf(sponsors);
  return roster && { number, log, sponsors: roster };
}

function readHard(bytes: Uint8Array): HardState & { readonly generation: number } {
  const { term, vote, commit, generation } = readJson(bytes) as Record<string, unknown>;
  const numbers = { term, vote, commit, generation };
  if (Object.values(numbers).every((value) => Number.isSafeInteger(value)))
    return numbers as HardState & { readonly generation: number };
  throw new LostLogError("what the member has promised can not be read");
}

/** @returns what is stored as JSON @throws LostLogError when it is none */
export function readJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) ?? {};
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new LostLogError("part of the log can not be read");
  }
}

/** @throws LostLogError when anything of the group is there @throws StoreError */
export async function checkUnused(store: KeyValueStore, group: string): Promise<void> {
  const [before] = await store.range({ ...rangeOf(`c/${group}/`), limit: 1 });
  if (before !== undefined) throw new LostLogError("part of an earlier log is there");
}
