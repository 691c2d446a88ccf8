import { backoffMs } from "../../platform/backoff.ts";
import type { Clock, Timer } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import type { Random } from "../../platform/random.ts";
import { GroupCommit, WRITE_RETRY } from "../ordering/group-commit.ts";
import type { Entry } from "../raft/entry.ts";
import type { Snapshot } from "../raft/log-storage.ts";
import type { StorageAppend } from "../raft/ready.ts";
import type { LogChange, LogDisk } from "./log-disk.ts";

interface KeptSnapshot {
  readonly snapshot: Snapshot;
  readonly compactTo: number;
}

interface Parts {
  readonly disk: LogDisk;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** All of it is durable: its responses may go out. */
  readonly written: (append: StorageAppend) => void;
  /** The disk lost what was written before. */
  readonly lost: (error: Error) => void;
}

/** Writes what the core wants on disk, in order, and between two writes the snapshots that the application made. */
export class LogWriter {
  readonly #parts: Parts;
  readonly #commit: GroupCommit<StorageAppend>;
  #snapshot: KeptSnapshot | undefined;
  #snapshotFailures = 0;
  #snapshotRetry: Timer | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#commit = new GroupCommit({
      ...parts,
      timer: "raft.write",
      write: (appends) => parts.disk.write(merged(appends)),
      done: parts.written,
      between: { waits: () => this.#snapshot !== undefined, run: () => this.#keep() },
    });
  }

  /** A write is under way, or waits for another attempt. */
  get busy(): boolean {
    return !this.#commit.isIdle;
  }

  push(append: StorageAppend): void {
    this.#commit.push(append);
  }

  /** Keeps a snapshot that the application made, between two writes, and lets go of entries up to `compactTo`. */
  keepSnapshot(snapshot: Snapshot, compactTo: number): void {
    if (this.#commit.isClosed) return;
    this.#snapshotRetry?.cancel();
    this.#snapshot = { snapshot, compactTo };
    this.#commit.wake();
  }

  /** Nothing is written any more. @returns once what is under way has ended */
  close(): Promise<void> {
    this.#snapshotRetry?.cancel();
    this.#snapshot = undefined;
    return this.#commit.close();
  }

  async #keep(): Promise<void> {
    const { disk } = this.#parts;
    const kept = this.#snapshot;
    if (kept === undefined) return;
    this.#snapshot = undefined;
    // One of a leader, which is ahead, may have been written meanwhile.
    if (kept.snapshot.index <= (disk.log.snapshot()?.index ?? 0)) return;
    try {
      await disk.keepSnapshot(kept.snapshot, kept.compactTo);
    } catch (error) {
      this.#snapshotFailed(kept, error as Error);
      return;
    }
    this.#snapshotFailures = 0;
  }

  /**
   * Until one is kept the log is longer, and whoever was taken in waits for one in which it is a member: that one is tried
   * again, unless a newer one comes first.
   */
  #snapshotFailed(kept: KeptSnapshot, { message: reason }: Error): void {
    if (this.#commit.isClosed || this.#snapshot !== undefined) return;
    const { clock, random, logger } = this.#parts;
    if (this.#snapshotFailures === 0)
      logger.warn("no snapshot of the group could be kept", { reason });
    this.#snapshotFailures++;
    const waitMs = backoffMs(this.#snapshotFailures, WRITE_RETRY, random);
    this.#snapshotRetry = clock.setTimer("raft.snapshot", waitMs, () =>
      this.keepSnapshot(kept.snapshot, kept.compactTo),
    );
  }
}

/** @returns what is on disk once all of it is written, one after the other */
function merged(appends: readonly StorageAppend[]): LogChange {
  let hardState: LogChange["hardState"];
  let snapshot: LogChange["snapshot"];
  let entries: Entry[] = [];
  let durable = false;
  for (const append of appends) {
    hardState = append.hardState ?? hardState;
    if (append.snapshot !== undefined) {
      snapshot = append.snapshot;
      entries = [];
    }
    const [first] = entries;
    const [next] = append.entries;
    // Without gaps, so the place in the log says how many of the earlier ones stay.
    if (first !== undefined && next !== undefined)
      entries.length = Math.max(0, next.index - first.index);
    for (const entry of append.entries) entries.push(entry);
    if (append.responses.length > 0) durable = true;
  }
  return { hardState, snapshot, entries, durable };
}
