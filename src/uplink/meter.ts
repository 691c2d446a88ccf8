import type { Clock } from "../platform/clock.ts";
import type { KeyValueStore } from "../platform/key-value-store.ts";
import type { Logger } from "../platform/logger.ts";
import { DayBudget, type DayBudgetRecord } from "./day-budget.ts";

/** What a {@link Meter} is made of. */
export interface MeterParts {
  readonly name: string;
  readonly bytesPerDayMax: number | undefined;
  readonly store: KeyValueStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Bytes on the wire so far. */
  readonly wireBytes: () => number;
}

const LOOK_AGAIN_MS = 600_000;

/** Keeps the daily bytes of one uplink, where it has a limit, and remembers them across restarts. */
export class Meter {
  readonly #parts: MeterParts;
  #budget: DayBudget | undefined;
  #chargedBytes = 0;

  constructor(parts: MeterParts) {
    this.#parts = parts;
  }

  /** @throws StoreError */
  async load(): Promise<void> {
    const { bytesPerDayMax, store } = this.#parts;
    if (bytesPerDayMax === undefined) return;
    const kept = await store.get(this.#key);
    this.#budget = new DayBudget(bytesPerDayMax, kept === undefined ? undefined : readRecord(kept));
  }

  /** Bytes of today, once there is a limit. */
  get dayBytes(): number | undefined {
    return this.#budget?.bytes;
  }

  /** Counts what went over the wire since the last call. @returns bytes left today */
  charge(): number {
    const budget = this.#budget;
    if (budget === undefined) return Number.POSITIVE_INFINITY;
    const { clock, wireBytes } = this.#parts;
    const nowBytes = wireBytes();
    budget.charge(nowBytes - this.#chargedBytes, clock.wallTrusted() ? clock.wallMs() : undefined);
    this.#chargedBytes = nowBytes;
    const record = budget.keep();
    if (record !== undefined) void this.#write(record);
    return budget.left;
  }

  /** Writes down what was used. Never throws. */
  async close(): Promise<void> {
    this.charge();
    if (this.#budget !== undefined) await this.#write(this.#budget.record());
  }

  /** When to look whether a new day has begun. */
  get lookAgainInMs(): number {
    const { clock } = this.#parts;
    return clock.wallTrusted()
      ? Math.min(LOOK_AGAIN_MS, DayBudget.msToNextDay(clock.wallMs()) + 1)
      : LOOK_AGAIN_MS;
  }

  get #key(): string {
    return `u/day/${this.#parts.name}`;
  }

  #write(record: DayBudgetRecord): Promise<void> {
    const { store, logger, name } = this.#parts;
    const value = Buffer.from(JSON.stringify(record));
    return store
      .write([{ type: "put", key: this.#key, value }], { durable: true })
      .catch((error: unknown) =>
        logger.warn("could not write the daily bytes down", {
          uplink: name,
          reason: String(error),
        }),
      );
  }
}

/** What can not be read counts as nothing: better a day too generous than a link that stays shut. */
function readRecord(value: Uint8Array): DayBudgetRecord | undefined {
  try {
    const record = JSON.parse(Buffer.from(value).toString("utf8")) as Partial<DayBudgetRecord>;
    const { bytes, day } = record;
    if (!Number.isSafeInteger(bytes) || bytes === undefined || bytes < 0) return undefined;
    return Number.isSafeInteger(day) && day !== undefined ? { bytes, day } : { bytes };
  } catch {
    return undefined;
  }
}
