import type { SimulatedFleet } from "../simulated-fleet.ts";

/** Between two looks whether a promise is broken. */
const LOOK_INTERVAL_MS = 1_000;

/** The passing of time in a run, which ends where a promise is broken if that is wanted. */
export class Passage {
  readonly #fleet: SimulatedFleet;
  readonly #failFast: boolean;

  constructor(fleet: SimulatedFleet, failFast: boolean) {
    this.#fleet = fleet;
    this.#failFast = failFast;
  }

  /** A promise was broken, and there is no need to see more. */
  get over(): boolean {
    return this.#failFast && this.#fleet.violations.count > 0;
  }

  /** Lets `durationMs` go by, or what of it goes by until it is over. */
  async advance(durationMs: number): Promise<void> {
    const { clock } = this.#fleet;
    if (!this.#failFast) return clock.advance(durationMs);
    const untilMs = clock.monotonicMs() + durationMs;
    while (!this.over && clock.monotonicMs() < untilMs)
      await clock.advance(Math.min(LOOK_INTERVAL_MS, untilMs - clock.monotonicMs()));
  }
}
