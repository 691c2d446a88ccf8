import type { Clock, Timer } from "../platform/clock.ts";
import { BATCH_UPDATES_MAX, type WaitingRequests } from "./requests.ts";
import type { WearPacer } from "./wear-pacer.ts";

/** A commit of so many updates shows a stream of them: the next one waits for as many, but a moment at most. */
const CROWD_UPDATES = 16;
const CROWD_LINGER_MS = 1;
const REMOVALS_LINGER_MS = 50;
const REMOVALS_BATCH = 1_024;
/** A store that has just failed is left alone for so long: every failure costs it a reopening. */
const REST_AFTER_FAILURE_MS = 500;

/** What a {@link CommitSchedule} works with. */
interface ScheduleParts {
  readonly clock: Clock;
  readonly pacer: WearPacer;
  readonly waiting: WaitingRequests;
  /** Commits what waits. @returns false when that failed */
  readonly run: () => Promise<boolean>;
}

/** Decides when the outbox commits: one run at a time, at once or when others have come along that share its disk sync. */
export class CommitSchedule {
  readonly #parts: ScheduleParts;
  #running: Promise<void> | undefined;
  #timer: Timer | undefined;
  #timerDueMs = 0;
  #resting = false;
  #closed = false;
  /** How many updates the last commit had, where that were many. */
  #crowd = 0;

  constructor(parts: ScheduleParts) {
    this.#parts = parts;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** As many updates as last time have not come along yet. */
  get awaitsCrowd(): boolean {
    return this.#parts.waiting.updates < this.#crowd;
  }

  /** One more update waits. */
  appended(): void {
    const { pacer, waiting } = this.#parts;
    const { lingerMs } = pacer;
    if (lingerMs > 0 && waiting.updates < BATCH_UPDATES_MAX) this.#later(lingerMs);
    else this.#withCrowd();
  }

  /** Updates have left the books. */
  removed(updates: number): void {
    const { waiting } = this.#parts;
    const first = waiting.removals === 0;
    waiting.removals += updates;
    if (waiting.removals >= REMOVALS_BATCH) this.now();
    // A timer that somebody set since the first one is due no later.
    else if (first || this.#timer === undefined) this.#later(this.#removalsLingerMs);
  }

  /** So many updates were written together. */
  committed(updates: number): void {
    this.#crowd = updates >= CROWD_UPDATES ? updates : 0;
  }

  /** Something else waits, for which nobody is to wait. */
  now(): void {
    if (this.#running !== undefined || (this.#resting && !this.#closed)) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    // Whoever else asks before this turn of the event loop ends comes along.
    this.#running = Promise.resolve()
      .then(() => this.#run())
      .finally(() => {
        this.#running = undefined;
        const { waiting } = this.#parts;
        if (this.#resting) this.#later(REST_AFTER_FAILURE_MS);
        else if (waiting.any) this.#withCrowd();
        else if (waiting.removals > 0) this.#later(this.#removalsLingerMs);
      });
  }

  /** Commits what waits, whatever there was to wait for. Nothing is scheduled any more. */
  async close(): Promise<void> {
    this.#closed = true;
    this.now();
    while (this.#running !== undefined) await this.#running;
  }

  get #removalsLingerMs(): number {
    return Math.max(REMOVALS_LINGER_MS, this.#parts.pacer.lingerMs);
  }

  /** Fewer, larger commits cost less of everything; a lone publisher never waits for company. */
  #withCrowd(): void {
    if (this.awaitsCrowd && !this.#closed) this.#later(CROWD_LINGER_MS);
    else this.now();
  }

  #later(delayMs: number): void {
    if (this.#running !== undefined || this.#closed) return;
    const dueMs = this.#parts.clock.monotonicMs() + delayMs;
    if (this.#timer !== undefined && this.#timerDueMs <= dueMs) return;
    this.#timer?.cancel();
    this.#timerDueMs = dueMs;
    this.#timer = this.#parts.clock.setTimer("outbox.commit", delayMs, () => {
      this.#timer = undefined;
      this.#resting = false;
      this.now();
    });
  }

  async #run(): Promise<void> {
    this.#resting = false;
    this.#resting = !(await this.#parts.run());
  }
}
