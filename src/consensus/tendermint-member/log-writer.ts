import { backoffMs } from "../../platform/backoff.ts";
import type { Clock, Timer } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import type { Random } from "../../platform/random.ts";
import type { Evidence } from "../tendermint/evidence.ts";
import type { WalEntry } from "../tendermint/wal.ts";
import type { LogDisk } from "./log-disk.ts";
import type { ProvenState } from "./record-codec.ts";

const RETRY = { retryMinMs: 100, retryMaxMs: 5_000 };

interface Parts {
  readonly disk: LogDisk;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** The disk lost what was written before. */
  readonly lost: (error: Error) => void;
}

interface Item {
  readonly entries: readonly WalEntry[];
  readonly replaced: ProvenState | undefined;
  readonly kept: ProvenState | undefined;
  readonly evidence: readonly Evidence[];
  readonly done: () => void;
}

/**
 * Writes what a member wants on disk, in order, and lets it speak once that is there. What comes in while a write is under
 * way goes into the next one, so that one sync of the disk pays for all of it. A write that failed is made again until it
 * succeeds: nothing is said meanwhile.
 */
export class LogWriter {
  readonly #parts: Parts;
  #queue: Item[] = [];
  #busy = false;
  #failures = 0;
  #retry: Timer | undefined;
  #closed = false;
  #idle: (() => void)[] = [];

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** @param done is called once all that came before, and this, is durable; at once when there is nothing to wait for */
  push(entries: readonly WalEntry[], done: () => void): void {
    if (this.#closed) return;
    if (entries.length === 0 && this.#queue.length === 0 && !this.#isBusy) done();
    else this.#add({ entries, replaced: undefined, kept: undefined, evidence: [], done });
  }

  /** Keeps a state that this member made, in place of the decisions up to it. */
  keep(kept: ProvenState): void {
    this.#add({ entries: [], replaced: undefined, kept, evidence: [], done: nothing });
  }

  keepEvidence(evidence: readonly Evidence[]): void {
    this.#add({ entries: [], replaced: undefined, kept: undefined, evidence, done: nothing });
  }

  /** A state of others takes the place of all that was written. */
  replace(replaced: ProvenState, entries: readonly WalEntry[], done: () => void): void {
    this.#add({ entries, replaced, kept: undefined, evidence: [], done });
  }

  /** Nothing is written any more. @returns once what is under way has ended */
  close(): Promise<void> {
    this.#closed = true;
    this.#retry?.cancel();
    this.#queue = [];
    return this.#busy ? new Promise((resolve) => this.#idle.push(resolve)) : Promise.resolve();
  }

  get #isBusy(): boolean {
    return this.#busy || this.#retry !== undefined;
  }

  #add(item: Item): void {
    if (this.#closed) return;
    this.#queue.push(item);
    if (!this.#isBusy) void this.#write();
  }

  async #write(): Promise<void> {
    this.#busy = true;
    while (this.#queue.length > 0) {
      const items = this.#takeBatch();
      try {
        if (items.some(hasContent)) await this.#parts.disk.write(merged(items));
      } catch (error) {
        this.#failed(items, error as Error);
        break;
      }
      this.#failures = 0;
      for (const { done } of items) if (!this.#closed) done();
    }
    this.#busy = false;
    for (const idle of this.#idle.splice(0)) idle();
  }

  /** All that waits, but not what was written before a state took its place. */
  #takeBatch(): Item[] {
    const at = this.#queue.findIndex(({ replaced }, index) => replaced !== undefined && index > 0);
    return this.#queue.splice(0, at < 0 ? this.#queue.length : at);
  }

  #failed(items: readonly Item[], error: Error & { readonly code?: string }): void {
    if (this.#closed) return;
    const { clock, random, logger, lost } = this.#parts;
    if (error.code === "store.corrupt") {
      lost(error);
      return;
    }
    if (this.#failures === 0)
      logger.error("the log of the group can not be written", { reason: error.message });
    this.#queue = [...items, ...this.#queue];
    this.#failures++;
    const afterMs = backoffMs(this.#failures, RETRY, random);
    this.#retry = clock.setTimer("tendermint.write", afterMs, () => {
      this.#retry = undefined;
      void this.#write();
    });
  }
}

function hasContent({ entries, replaced, kept, evidence }: Item): boolean {
  return entries.length > 0 || replaced !== undefined || kept !== undefined || evidence.length > 0;
}

function merged(items: readonly Item[]): Parameters<LogDisk["write"]>[0] {
  const [first, ...rest] = items;
  return {
    replaced: first?.replaced,
    entries: [first?.entries ?? [], ...rest.map(({ entries }) => entries)].flat(),
    // The latest one is enough.
    kept: items.findLast(({ kept }) => kept !== undefined)?.kept,
    evidence: items.flatMap(({ evidence }) => evidence),
  };
}

function nothing(): void {
  // Nobody waits for it.
}
