import { changeOf } from "../../../src/consensus/raft/change.ts";
import { NO_MEMBERS } from "../../../src/consensus/raft/configuration.ts";
import { type Entry, NO_DATA } from "../../../src/consensus/raft/entry.ts";
import type { HardState, LogStorage, Snapshot } from "../../../src/consensus/raft/log-storage.ts";
import { MemoryLogStorage } from "../../../src/consensus/raft/memory-log-storage.ts";
import { RaftNode } from "../../../src/consensus/raft/node.ts";
import type { RaftOptions } from "../../../src/consensus/raft/options.ts";
import type { StorageAppend, StorageApply } from "../../../src/consensus/raft/ready.ts";
import type { Random } from "../../../src/platform/random.ts";

/** Nothing to draw: election timeouts are the shortest possible. */
const leastRandom: Random = {
  next: () => 0,
  bytes: (length) => new Uint8Array(length),
  fork: () => leastRandom,
};

/** A node of a script with its storage; its snapshot always is of what it applied last. */
export class ScriptNode {
  readonly id: number;
  readonly options: RaftOptions;
  readonly raft: RaftNode;
  readonly storage = new MemoryLogStorage();
  readonly appendWork: StorageAppend[] = [];
  readonly applyWork: StorageApply[] = [];
  #latest: Snapshot;

  /** @param bootstrap what is in its storage to begin with */
  constructor(options: RaftOptions, bootstrap: Snapshot | undefined) {
    this.id = options.id;
    this.options = options;
    this.#latest = bootstrap ?? { index: 0, term: 0, configuration: NO_MEMBERS, data: NO_DATA };
    if (bootstrap) this.storage.applySnapshot(bootstrap);
    const { storage } = this;
    const withLatest: LogStorage = {
      initialState: () => storage.initialState(),
      firstIndex: () => storage.firstIndex(),
      lastIndex: () => storage.lastIndex(),
      term: (index) => storage.term(index),
      entries: (from, to, bytesMax) => storage.entries(from, to, bytesMax),
      snapshot: () => this.#latest,
    };
    this.raft = new RaftNode(options, withLatest, leastRandom, bootstrap?.index);
  }

  get latest(): Snapshot {
    return this.#latest;
  }

  persist(
    hardState: HardState | undefined,
    entries: readonly Entry[],
    snapshot: Snapshot | undefined,
  ): void {
    if (hardState) this.storage.setHardState(hardState);
    if (snapshot) this.storage.applySnapshot(snapshot);
    else this.storage.append(entries);
  }

  apply(entries: readonly Entry[]): void {
    for (const entry of entries) {
      const { index, term } = entry;
      const change = changeOf(entry);
      const result = change ? this.raft.applyChange(change) : undefined;
      const configuration = typeof result === "object" ? result : this.#latest.configuration;
      this.#latest = { index, term, configuration, data: NO_DATA };
    }
  }
}
