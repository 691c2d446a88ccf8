/** A pending timer. Cancelling one that has fired or was cancelled does nothing. */
export interface Timer {
  cancel(): void;
}

/**
 * Time as a device knows it. A Pi without a battery-backed clock wakes in 1970 and jumps when it first
 * hears of the real time, so durations and order are taken from `monotonicMs`, and `wallMs` is only ever
 * a label that carries a trust flag.
 */
export interface Clock {
  /** Milliseconds since 1970-01-01T00:00:00Z as the system believes them; may jump either way. */
  wallMs(): number;
  /** False while the wall clock is evidently wrong (before this program was built). */
  wallTrusted(): boolean;
  /** Milliseconds since some fixed moment of this boot; never goes back, survives process restarts. */
  monotonicMs(): number;
  /** Names this boot: monotonic times compare only within one boot id. */
  readonly bootId: string;
  /** Calls `callback` once after `delayMs`; `name` shows up in traces and in the simulator's errors. */
  setTimer(name: string, delayMs: number, callback: () => void): Timer;
}
