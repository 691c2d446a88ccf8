const DAY_MS = 86_400_000;
/** What may be written at once before pacing begins, as part of a day's budget; the rest flows off over the day. */
const BURST = 0.25;

/** How commits are paced. */
export interface WearPacing {
  /** 0: no budget. */
  readonly bytesPerDayMax: number;
  /** How long a commit waits for company while there is budget. */
  readonly lingerMinMs: number;
  /** …and when there is none left. */
  readonly lingerMaxMs: number;
}

/**
 * Keeps what is written to flash within a daily budget by letting commits wait longer for company: every sync
 * costs whole pages, so fewer and larger commits wear the flash less. A leaky bucket, which needs neither a
 * calendar nor a clock that knows the date: what is written fills it, and it flows off evenly over a day. The
 * fuller it is, the longer commits wait. It never refuses: with readings that can not wait any longer the budget
 * is overdrawn, and the status says so.
 */
export class WearPacer {
  #pacing: WearPacing;
  #level = 0;
  #lastBytes = 0;
  #lastMs: number;

  constructor(pacing: WearPacing, nowMs: number) {
    this.#pacing = pacing;
    this.#lastMs = nowMs;
  }

  configure(bytesPerDayMax: number): void {
    this.#pacing = { ...this.#pacing, bytesPerDayMax };
  }

  /** @param bytes written since the process started */
  note(bytes: number, nowMs: number): void {
    const { bytesPerDayMax } = this.#pacing;
    const flowsOff = (bytesPerDayMax * (1 - BURST) * (nowMs - this.#lastMs)) / DAY_MS;
    this.#level = Math.max(0, this.#level - flowsOff) + (bytes - this.#lastBytes);
    this.#lastBytes = bytes;
    this.#lastMs = nowMs;
  }

  /** How much of the budget is in use: 0 none, 1 all of it, more when it is overdrawn. */
  get used(): number {
    const { bytesPerDayMax } = this.#pacing;
    return bytesPerDayMax === 0 ? 0 : this.#level / (bytesPerDayMax * BURST);
  }

  get bytesPerDayMax(): number {
    return this.#pacing.bytesPerDayMax;
  }

  /** How long a commit waits for company now. */
  get lingerMs(): number {
    const { lingerMinMs, lingerMaxMs } = this.#pacing;
    // Half of it may go without anybody noticing.
    const urgency = Math.min(1, Math.max(0, 2 * this.used - 1));
    return Math.max(lingerMinMs, urgency * lingerMaxMs);
  }
}
