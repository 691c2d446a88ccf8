import type { Clock } from "../platform/clock.ts";

const FAILURES_MAX = 5;
const WINDOW_MS = 60_000;
const KEPT_MAX = 1_000;

interface Record {
  failures: number;
  sinceMs: number;
}

/**
 * Counts wrong passwords per address and user. After five within a minute that pair waits for the rest of
 * the minute; other users of the same machine do not.
 */
export class AttemptLimiter {
  readonly #clock: Clock;
  readonly #records = new Map<string, Record>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @returns whether this pair may try at all now. */
  allows(address: string, user: string): boolean {
    return (this.#live(key(address, user))?.failures ?? 0) < FAILURES_MAX;
  }

  /** @returns how many failures that makes within the minute. */
  failed(address: string, user: string): number {
    const name = key(address, user);
    const record = this.#live(name) ?? { failures: 0, sinceMs: this.#clock.monotonicMs() };
    record.failures++;
    this.#records.delete(name);
    this.#records.set(name, record);
    // Oldest first: whoever tries many names pushes out its own.
    for (const oldest of this.#records.keys()) {
      if (this.#records.size <= KEPT_MAX) break;
      this.#records.delete(oldest);
    }
    return record.failures;
  }

  succeeded(address: string, user: string): void {
    this.#records.delete(key(address, user));
  }

  #live(name: string): Record | undefined {
    const record = this.#records.get(name);
    if (record === undefined) return undefined;
    if (this.#clock.monotonicMs() - record.sinceMs < WINDOW_MS) return record;
    this.#records.delete(name);
    return undefined;
  }
}

function key(address: string, user: string): string {
  return `${address} ${user}`;
}
