import { backoffMs } from "../../platform/backoff.ts";
import type { Clock, Timer } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import type { Random } from "../../platform/random.ts";
import type { Entry } from "../raft/entry.ts";
import type { Snapshot } from "../raft/log-storage.ts";
import type { StorageAppend } from "../raft/ready.ts";
import type { LogChange, LogDisk } from "./log-disk.ts";

const RETRY = { retryMinMs: 100, retryMaxMs: 5_000 };

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

/**
 * Writes what the core wants on disk, in order. What comes in while a write is under way goes into the next one, so that
 * one sync of the disk pays for many proposals. A write that failed is made again until it succeeds: nothing is promised
 * meanwhile.
 */
export class LogWriter {
  readonly #parts: Parts;
  #queue: StorageAppend[] = [];
  #snapshot: KeptSnapshot | undefined;
  #snapshotFailures = 0;
  #snapshotRetry: Timer | undefined;
  #busy = false;
  #failures = 0;
  #retry: Timer | undefined;
  #closed = false;
  #idle: (() => void)[] = [];

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** A write is under way, or waits for another attempt. */
  get busy(): boolean {
    return this.#busy || this.#retry !== undefined;
  }

  push(append: StorageAppend): void {
    this.#queue.push(append);
    if (!this.busy) void this.#write();
  }

  /** Keeps a snapshot that the application made, between two writes, and lets go of entries up to `compactTo`. */
  keepSnapshot(snapshot: Snapshot, compactTo: number): void {
    if (this.#closed) return;
    this.#snapshotRetry?.cancel();
    this.#snapshot = { snapshot, compactTo };
    if (!this.busy) void this.#write();
  }

  /** Nothing is written any more. @returns once what is under way has ended */
  close(): Promise<void> {
    this.#closed = true;
    this.#retry?.cancel();
    this.#snapshotRetry?.cancel();
    this.#queue = [];
    this.#snapshot = undefined;
    return this.#busy ? new Promise((resolve) => this.#idle.push(resolve)) : Promise.resolve();
  }

  async #write(): Promise<void> {
    this.#busy = true;
    while (this.#queue.length > 0 || this.#snapshot !== undefined) {
      await this.#keep();
      if (this.#queue.length === 0) continue;
      const appends = this.#queue;
      this.#queue = [];
      try {
        await this.#parts.disk.write(merged(appends));
      } catch (error) {
        this.#failed(appends, error as Error);
        break;
      }
      this.#failures = 0;
      if (this.#closed) break;
      for (const append of appends) this.#parts.written(append);
    }
    this.#busy = false;
    for (const idle of this.#idle.splice(0)) idle();
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
    if (this.#closed || this.#snapshot !== undefined) return;
    const { clock, random, logger } = this.#parts;
    if (this.#snapshotFailures === 0)
      logger.warn("no snapshot of the group could be kept", { reason });
    this.#snapshotFailures++;
    const waitMs = backoffMs(this.#snapshotFailures, RETRY, random);
    this.#snapshotRetry = clock.setTimer("raft.snapshot", waitMs, () =>
      this.keepSnapshot(kept.snapshot, kept.compactTo),
    );
  }

  #failed(appends: readonly StorageAppend[], error: Error & { readonly code?: string }): void {
    if (this.#closed) return;
    const { clock, random, logger, lost } = this.#parts;
    if (error.code === "store.corrupt") {
      lost(error);
      return;
    }
    if (this.#failures === 0)
      logger.error("the log of the group can not be written", { reason: error.message });
    this.#queue = [...appends, ...this.#queue];
    this.#failures++;
    this.#retry = clock.setTimer("raft.write", backoffMs(this.#failures, RETRY, random), () => {
      this.#retry = undefined;
      void this.#write();
    });
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
