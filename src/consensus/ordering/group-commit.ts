import { backoffMs } from "../../platform/backoff.ts";
import type { Clock, Timer } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import type { Random } from "../../platform/random.ts";

/** How soon what a member could not write is written again. */
export const WRITE_RETRY = { retryMinMs: 100, retryMaxMs: 5_000 };

/** Where what is written goes, and who hears of it. */
export interface GroupCommitParts<Item> {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Of the timer after which a write is made again. */
  readonly timer: string;
  /** Writes all of them, in order, as one. @returns undefined where there is nothing to write: then nothing is waited for */
  readonly write: (items: readonly Item[]) => Promise<void> | undefined;
  /** This one, and all before it, are durable. */
  readonly done: (item: Item) => void;
  /** The disk lost what was written before. */
  readonly lost: (error: Error) => void;
  /** Of what waits, how many go into one write; all unless given. */
  readonly batch?: (waiting: readonly Item[]) => number;
  /** What is done between two writes. */
  readonly between?: { readonly waits: () => boolean; readonly run: () => Promise<void> };
}

/**
 * Writes what a member wants on disk, in order. What comes in while a write is under way goes into the next one, so that one
 * sync of the disk pays for all of it (group commit, DeWitt et al. 1984). A write that failed is made again until it
 * succeeds: nothing is promised meanwhile.
 */
export class GroupCommit<Item> {
  readonly #parts: GroupCommitParts<Item>;
  #waiting: Item[] = [];
  #isWriting = false;
  #failures = 0;
  #retry: Timer | undefined;
  #isClosed = false;
  #idle: (() => void)[] = [];

  constructor(parts: GroupCommitParts<Item>) {
    this.#parts = parts;
  }

  /** Nothing waits, and no write is under way. */
  get isIdle(): boolean {
    return this.#waiting.length === 0 && !this.#isWriting && this.#retry === undefined;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  push(item: Item): void {
    if (this.#isClosed) return;
    this.#waiting.push(item);
    this.wake();
  }

  /** There is something to do between two writes. */
  wake(): void {
    if (!this.#isClosed && !this.#isWriting && this.#retry === undefined) void this.#run();
  }

  /** Nothing is written any more. @returns once what is under way has ended */
  close(): Promise<void> {
    this.#isClosed = true;
    this.#retry?.cancel();
    this.#waiting = [];
    return this.#isWriting ? new Promise((resolve) => this.#idle.push(resolve)) : Promise.resolve();
  }

  async #run(): Promise<void> {
    const { between, done } = this.#parts;
    this.#isWriting = true;
    while (this.#waiting.length > 0 || between?.waits() === true) {
      if (between !== undefined) await between.run();
      if (this.#waiting.length === 0) continue;
      const items = this.#take();
      try {
        const written = this.#parts.write(items);
        if (written !== undefined) await written;
      } catch (error) {
        this.#failed(items, error as Error);
        break;
      }
      this.#failures = 0;
      for (const item of items) if (!this.#isClosed) done(item);
    }
    this.#isWriting = false;
    for (const idle of this.#idle.splice(0)) idle();
  }

  #take(): Item[] {
    const waiting = this.#waiting;
    const count = this.#parts.batch?.(waiting) ?? waiting.length;
    this.#waiting = waiting.slice(count);
    return waiting.slice(0, count);
  }

  #failed(items: readonly Item[], error: Error & { readonly code?: string }): void {
    if (this.#isClosed) return;
    const { clock, random, logger, timer, lost } = this.#parts;
    if (error.code === "store.corrupt") {
      lost(error);
      return;
    }
    if (this.#failures === 0)
      logger.error("the log of the group can not be written", { reason: error.message });
    this.#waiting = [...items, ...this.#waiting];
    this.#failures++;
    this.#retry = clock.setTimer(timer, backoffMs(this.#failures, WRITE_RETRY, random), () => {
      this.#retry = undefined;
      void this.#run();
    });
  }
}
