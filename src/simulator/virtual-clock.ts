import type { Clock, Timer } from "../platform/clock.ts";

interface Pending {
  readonly name: string;
  readonly atMs: number;
  readonly order: number;
  readonly callback: () => void;
}

const SPIN_MAX = 1_000_000;

/**
 * Time that moves only when told to. Timers that are due fire in order of time, then of setting; between
 * two of them all promises that can settle do so.
 */
export class VirtualClock implements Clock {
  bootId = "boot-1";
  /** What the wall clock shows beyond the monotonic one; a device without a battery-backed clock: 0. */
  wallOffsetMs: number;
  trusted = true;
  #nowMs = 0;
  #order = 0;
  #boots = 1;
  #pending: Pending[] = [];

  constructor(wallStartMs = 1_795_305_600_000) {
    this.wallOffsetMs = wallStartMs;
  }

  wallMs(): number {
    return this.wallOffsetMs + this.#nowMs;
  }

  wallTrusted(): boolean {
    return this.trusted;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  setTimer(name: string, delayMs: number, callback: () => void): Timer {
    const atMs = this.#nowMs + Math.max(0, delayMs);
    const timer: Pending = { name, atMs, order: this.#order++, callback };
    this.#insert(timer);
    return {
      cancel: () => {
        const at = this.#pending.indexOf(timer);
        if (at >= 0) this.#pending.splice(at, 1);
      },
    };
  }

  /** Names of the timers that wait, soonest first. */
  get waiting(): readonly string[] {
    return this.#pending.map(({ name }) => name);
  }

  /** Lets `durationMs` go by. @throws Error when timers keep setting each other at the same instant. */
  async advance(durationMs: number): Promise<void> {
    const untilMs = this.#nowMs + durationMs;
    let spin = 0;
    await settle();
    for (;;) {
      const next = this.#pending[0];
      if (next === undefined || next.atMs > untilMs) break;
      this.#pending.shift();
      spin = next.atMs === this.#nowMs ? spin + 1 : 0;
      if (spin > SPIN_MAX) throw new Error(`timer "${next.name}" never lets time go by`);
      this.#nowMs = next.atMs;
      next.callback();
      await settle();
    }
    this.#nowMs = untilMs;
  }

  /** The device starts again: timers are gone, monotonic time begins anew under another boot id. */
  reboot(): void {
    this.wallOffsetMs += this.#nowMs;
    this.#nowMs = 0;
    this.#pending = [];
    this.#boots++;
    this.bootId = `boot-${this.#boots}`;
  }

  #insert(timer: Pending): void {
    let at = this.#pending.length;
    while (at > 0 && (this.#pending[at - 1]?.atMs ?? 0) > timer.atMs) at--;
    this.#pending.splice(at, 0, timer);
  }
}

/** Promise reactions run before the next macrotask, however long their chains: one turn settles all. */
function settle(): Promise<void> {
  return new Promise((resolve) => {
    // oxlint-disable-next-line no-restricted-globals -- what virtual time waits for is the real event loop
    setImmediate(resolve);
  });
}
