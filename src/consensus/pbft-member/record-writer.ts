import { backoffMs } from "../../platform/backoff.ts";
import type { Clock, Timer } from "../../platform/clock.ts";
import type { StoreOperation } from "../../platform/key-value-store.ts";
import type { Logger } from "../../platform/logger.ts";
import type { Random } from "../../platform/random.ts";
import type { MemberDisk } from "./member-disk.ts";

const RETRY = { retryMinMs: 100, retryMaxMs: 5_000 };

interface Parts {
  readonly disk: Pick<MemberDisk, "write">;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** The disk lost what was written before. */
  readonly lost: (error: Error) => void;
}

interface Step {
  readonly operations: readonly StoreOperation[];
  readonly done: () => void;
}

/**
 * Writes what is to be durable, and then does what waits for it, in order. What comes in while a write is under way goes into
 * the next one, so that one sync of the disk pays for many steps. A write that failed is made again until it succeeds:
 * nothing is said meanwhile.
 */
export class RecordWriter {
  readonly #parts: Parts;
  #queue: Step[] = [];
  #isBusy = false;
  #failures = 0;
  #retry: Timer | undefined;
  #isClosed = false;
  #idle: (() => void)[] = [];

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** @param done called once the operations and all before them are durable; at once when nothing has to be waited for */
  push(operations: readonly StoreOperation[], done: () => void): void {
    if (this.#isClosed) return;
    this.#queue.push({ operations, done });
    if (!this.#isBusy && this.#retry === undefined) void this.#run();
  }

  /** Nothing is written or done any more. @returns once what is under way has ended */
  close(): Promise<void> {
    this.#isClosed = true;
    this.#retry?.cancel();
    this.#queue = [];
    return this.#isBusy ? new Promise((resolve) => this.#idle.push(resolve)) : Promise.resolve();
  }

  async #run(): Promise<void> {
    this.#isBusy = true;
    while (this.#queue.length > 0) {
      const steps = this.#queue;
      this.#queue = [];
      const operations = steps.flatMap((step) => step.operations);
      if (operations.length > 0) {
        try {
          await this.#parts.disk.write(operations);
        } catch (error) {
          this.#failed(steps, error as Error);
          break;
        }
        this.#failures = 0;
      }
      for (const { done } of steps) if (!this.#isClosed) done();
    }
    this.#isBusy = false;
    for (const idle of this.#idle.splice(0)) idle();
  }

  #failed(steps: readonly Step[], error: Error & { readonly code?: string }): void {
    if (this.#isClosed) return;
    const { clock, random, logger, lost } = this.#parts;
    if (error.code === "store.corrupt") {
      lost(error);
      return;
    }
    if (this.#failures === 0)
      logger.error("the records of the group can not be written", { reason: error.message });
    this.#queue = [...steps, ...this.#queue];
    this.#failures++;
    this.#retry = clock.setTimer("pbft.write", backoffMs(this.#failures, RETRY, random), () => {
      this.#retry = undefined;
      void this.#run();
    });
  }
}
