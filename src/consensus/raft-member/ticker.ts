import type { Clock } from "../../platform/clock.ts";
import { WakeUp } from "../../platform/wake-up.ts";

interface Parts {
  readonly clock: Pick<Clock, "monotonicMs" | "setTimer">;
  readonly tickMs: number;
  /** Ticks from the last one until one in which something is done: at least 1, infinite for never. */
  readonly untilDue: () => number;
  /** So many ticks passed. Of them only the last may be one in which something is done. */
  readonly pass: (ticks: number) => void;
  /** The member is awake. */
  readonly woken: () => void;
}

/**
 * Counts the ticks of a core by the clock. A member that has nothing to do but wait sleeps through all the ticks until
 * something is due, instead of waking a device's processor for each.
 */
export class Ticker {
  readonly #parts: Parts;
  readonly #wakeUp: WakeUp;
  /** When the last tick was that has been told; infinite before the start. */
  #tickedAtMs = Number.POSITIVE_INFINITY;
  #wakesAtMs = Number.POSITIVE_INFINITY;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#wakeUp = new WakeUp(parts.clock, "raft.tick", () => this.#wake());
  }

  start(): void {
    this.#tickedAtMs = this.#parts.clock.monotonicMs();
    this.arm();
  }

  stop(): void {
    this.#wakeUp.cancel();
  }

  /** Tells the core what has passed by without anything being due. It has to know before it is told of anything else. */
  catchUp(): void {
    const { tickMs, untilDue } = this.#parts;
    const passed = this.#passed();
    if (passed < 1) return;
    const quiet = Math.min(passed, untilDue() - 1);
    this.#pass(quiet);
    // What is due has its turn when the member wakes: that is now, or soon.
    if (quiet < passed)
      this.#tickedAtMs = Math.max(this.#tickedAtMs, this.#parts.clock.monotonicMs() - tickMs);
  }

  /** Something may be due earlier than it was. That it is due later is seen when the member wakes. */
  arm(): void {
    const atMs = this.#tickedAtMs + this.#parts.untilDue() * this.#parts.tickMs;
    if (atMs >= this.#wakesAtMs) return;
    this.#wakesAtMs = atMs;
    this.#wakeUp.at(atMs);
  }

  #wake(): void {
    this.#wakesAtMs = Number.POSITIVE_INFINITY;
    const passed = this.#passed();
    const due = this.#parts.untilDue();
    // Who was held up for longer than it meant to sleep listens for one more tick to what has come in meanwhile.
    const isLate = passed > due && due > 1;
    this.#pass(isLate ? due - 1 : Math.min(passed, due));
    if (passed > due) this.#tickedAtMs = this.#parts.clock.monotonicMs();
    this.#parts.woken();
    this.arm();
  }

  /** Whole ticks since the last one. */
  #passed(): number {
    const { clock, tickMs } = this.#parts;
    return Math.floor((clock.monotonicMs() - this.#tickedAtMs) / tickMs);
  }

  #pass(ticks: number): void {
    if (ticks < 1) return;
    this.#tickedAtMs += ticks * this.#parts.tickMs;
    this.#parts.pass(ticks);
  }
}
