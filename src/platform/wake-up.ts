import type { Clock, Timer } from "./clock.ts";

/** One call that is due at some moment, which may be moved as often as need be. */
export class WakeUp {
  readonly #clock: Pick<Clock, "monotonicMs" | "setTimer">;
  readonly #name: string;
  readonly #fire: () => void;
  #timer: Timer | undefined;
  /** What the timer is set to; undefined when it has fired. */
  #atMs: number | undefined;

  /** @param name shows up in traces */
  constructor(clock: Pick<Clock, "monotonicMs" | "setTimer">, name: string, callback: () => void) {
    this.#clock = clock;
    this.#name = name;
    this.#fire = () => {
      this.#atMs = undefined;
      callback();
    };
  }

  /**
   * Takes the place of what was said before. Costs nothing where that was the same.
   * @param atMs monotonic, a moment that has passed being the next millisecond; infinity for never
   */
  at(atMs: number): void {
    if (atMs === this.#atMs) return;
    this.cancel();
    this.#atMs = atMs;
    if (atMs === Number.POSITIVE_INFINITY) return;
    const waitMs = Math.max(1, atMs - this.#clock.monotonicMs());
    this.#timer = this.#clock.setTimer(this.#name, waitMs, this.#fire);
  }

  cancel(): void {
    this.#timer?.cancel();
    this.#atMs = undefined;
  }
}
