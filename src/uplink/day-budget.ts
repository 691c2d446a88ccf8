const DAY_MS = 86_400_000;

/** What is kept of a budget across restarts. */
export interface DayBudgetRecord {
  /** Days since 1970-01-01, UTC; undefined while the clock was never right. */
  readonly day?: number;
  readonly bytes: number;
}

/**
 * Bytes of a metered link per UTC day. Pure: the wall clock comes in, and only while it can be trusted does a
 * new day begin; without it, everything counts towards the day that was known last.
 *
 * What is kept is set aside ahead of use ({@link keep}): after a crash the budget is never larger than it was.
 */
export class DayBudget {
  readonly bytesMax: number;
  #day: number | undefined;
  #bytes: number;
  #kept: number;

  constructor(bytesMax: number, record: DayBudgetRecord | undefined) {
    this.bytesMax = bytesMax;
    this.#day = record?.day;
    this.#bytes = record?.bytes ?? 0;
    this.#kept = this.#bytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get left(): number {
    return Math.max(0, this.bytesMax - this.#bytes);
  }

  /** Counts bytes. @param wallMs undefined while the wall clock can not be trusted */
  charge(bytes: number, wallMs: number | undefined): void {
    if (wallMs !== undefined) this.#turnOver(Math.floor(wallMs / DAY_MS));
    this.#bytes += bytes;
  }

  /** @returns what is to be written down now, ahead of use; undefined while the last record will do. */
  keep(): DayBudgetRecord | undefined {
    if (this.#bytes <= this.#kept) return undefined;
    this.#kept = this.#bytes + Math.max(4_096, Math.ceil(this.bytesMax / 100));
    return { ...this.record(), bytes: this.#kept };
  }

  /** @returns what was used, to be written down when there will be no more use. */
  record(): DayBudgetRecord {
    return { bytes: this.#bytes, ...(this.#day === undefined ? {} : { day: this.#day }) };
  }

  /** @returns milliseconds until the next UTC day. */
  static msToNextDay(wallMs: number): number {
    return DAY_MS - (wallMs % DAY_MS);
  }

  #turnOver(today: number): void {
    if (this.#day === undefined) {
      this.#day = today;
      return;
    }
    // A step back over midnight is the same night; a longer one means that the day noted before was wrong.
    if (today === this.#day || today === this.#day - 1) return;
    this.#day = today;
    this.#bytes = 0;
    this.#kept = 0;
  }
}
