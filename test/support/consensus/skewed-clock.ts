import type { Clock, Timer } from "../../../src/platform/clock.ts";

/** A clock that runs slower than another one, by a factor, or faster below 1. */
export class SkewedClock implements Clock {
  readonly #clock: Clock;
  readonly #factor: number;

  constructor(clock: Clock, factor: number) {
    this.#clock = clock;
    this.#factor = factor;
  }

  get bootId(): string {
    return this.#clock.bootId;
  }

  wallMs(): number {
    return this.#clock.wallMs();
  }

  wallTrusted(): boolean {
    return this.#clock.wallTrusted();
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs() / this.#factor;
  }

  setTimer(name: string, delayMs: number, callback: () => void): Timer {
    return this.#clock.setTimer(name, delayMs * this.#factor, callback);
  }
}
