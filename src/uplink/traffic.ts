import type { Clock } from "../platform/clock.ts";

const RATE_WINDOW_MS = 10_000;

/** Counts what goes over one uplink. Counters count since the agent started. */
export class Traffic {
  readonly #clock: Clock;
  inFlight = 0;
  acknowledged = 0;
  refused = 0;
  /** Not sent, since the receiver had them. */
  skipped = 0;
  sentBytes = 0;
  takeovers = 0;
  lastRoundTripMs: number | undefined;
  /** Monotonic time of the latest sign that the receiver takes something, or of the send it answers to. */
  progressAtMs = 0;
  /** Monotonic time at which the receiver last said that it is still at it. */
  aliveAtMs = 0;
  #rate = { sinceMs: 0, count: 0, perSecond: 0 };

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  noteSent(payloadBytes: number): void {
    if (this.inFlight === 0) this.progressAtMs = this.#clock.monotonicMs();
    this.inFlight++;
    this.sentBytes += payloadBytes;
  }

  noteSettled(): void {
    this.inFlight--;
    this.progressAtMs = this.#clock.monotonicMs();
  }

  /** The receiver says that it is still at it. */
  noteProgress(): void {
    this.aliveAtMs = this.#clock.monotonicMs();
  }

  noteAcknowledged(roundTripMs: number): void {
    this.acknowledged++;
    this.lastRoundTripMs = roundTripMs;
    this.#updateRate(1);
  }

  /** Acknowledged updates per second over about the last ten seconds. */
  get acknowledgedPerSecond(): number {
    this.#updateRate(0);
    return this.#rate.perSecond;
  }

  #updateRate(acknowledged: number): void {
    const nowMs = this.#clock.monotonicMs();
    const rate = this.#rate;
    rate.count += acknowledged;
    const elapsedMs = nowMs - rate.sinceMs;
    if (elapsedMs < 1_000) return;
    // An exponential mean over about ten seconds: steady to look at, and two numbers to keep.
    const weight = Math.min(1, elapsedMs / RATE_WINDOW_MS);
    rate.perSecond += weight * ((rate.count * 1_000) / elapsedMs - rate.perSecond);
    if (rate.perSecond < 0.01) rate.perSecond = 0;
    rate.sinceMs = nowMs;
    rate.count = 0;
  }
}
