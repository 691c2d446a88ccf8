const MINUTE_MS = 60_000;

/**
 * So many bytes a minute. What is not used is saved up for ten seconds; a batch that is larger passes when anything is
 * left, and is paid off before the next one. Pure.
 */
export class Allowance {
  readonly #perMs: number;
  readonly #savedMax: number;
  #left: number;
  #atMs: number;

  constructor(bytesPerMinuteMax: number, nowMs: number) {
    this.#perMs = bytesPerMinuteMax / MINUTE_MS;
    this.#savedMax = bytesPerMinuteMax / 6;
    this.#left = this.#savedMax;
    this.#atMs = nowMs;
  }

  /** @returns how long to wait until something may be taken; 0 when it may be now */
  waitMs(nowMs: number): number {
    this.#left = Math.min(
      this.#savedMax,
      this.#left + Math.max(0, nowMs - this.#atMs) * this.#perMs,
    );
    this.#atMs = nowMs;
    return this.#left > 0 ? 0 : Math.ceil(1 - this.#left / this.#perMs);
  }

  take(bytes: number): void {
    this.#left -= bytes;
  }
}
