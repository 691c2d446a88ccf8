import type { Clock, Timer } from "../platform/clock.ts";
import { EventHeap } from "./event-heap.ts";
import { VirtualTimer } from "./virtual-timer.ts";

const SPIN_MAX = 50_000;
/** Timers that were cancelled stay where they are until they are this many, and half of all. */
const CANCELLED_MAX = 1_024;

/**
 * Time that moves only when told to. Timers that are due fire in order of time, then of setting. Before time goes on all
 * promises that can settle do so, and timers set for the same moment meanwhile fire.
 */
export class VirtualClock implements Clock {
  bootId = "boot-1";
  /** What the wall clock shows beyond the monotonic one; a device without a battery-backed clock: 0. */
  wallOffsetMs: number;
  trusted = true;
  #nowMs = 0;
  #boots = 1;
  readonly #pending = new EventHeap<VirtualTimer>();
  #cancelled = 0;

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
    const timer = new PlainTimer(this, name, callback);
    this.start(timer, delayMs);
    return timer;
  }

  /** Fires the timer once, then. It must not be waiting. */
  start(timer: VirtualTimer, delayMs: number): void {
    timer.waiting = true;
    // Whole milliseconds: what is due within one fires together, and the promises are waited for once.
    this.#pending.push(Math.ceil(this.#nowMs + Math.max(0, delayMs)), timer);
  }

  /** One of those that wait never fires. */
  cancelled(): void {
    this.#cancelled++;
    if (this.#cancelled > CANCELLED_MAX && this.#cancelled > this.#pending.size / 2) this.#sweep();
  }

  /** Names of the timers that wait, soonest first. */
  get waiting(): readonly string[] {
    this.#sweep();
    return this.#pending.sorted().map(({ name }) => name);
  }

  /** Lets `durationMs` go by. @throws Error when timers keep setting each other at the same instant. */
  async advance(durationMs: number): Promise<void> {
    const untilMs = this.#nowMs + durationMs;
    let spin = 0;
    await settle();
    for (;;) {
      const atMs = this.#pending.nextMs;
      if (this.#pending.next === undefined || atMs > untilMs) break;
      spin = atMs === this.#nowMs ? spin + 1 : 0;
      if (spin > SPIN_MAX)
        throw new Error(`timer "${this.#pending.next.name}" never lets time go by`);
      this.#nowMs = Math.max(this.#nowMs, atMs);
      if (this.#fire() > 0) await settle();
    }
    this.#nowMs = untilMs;
  }

  /** Fires what is due now, but for what is set meanwhile. @returns how many */
  #fire(): number {
    const due: VirtualTimer[] = [];
    while (this.#pending.nextMs <= this.#nowMs) {
      const next = this.#pending.pop();
      if (next !== undefined) due.push(next);
    }
    let fired = 0;
    for (const timer of due) {
      if (!timer.waiting) {
        this.#cancelled--;
        continue;
      }
      timer.waiting = false;
      fired++;
      timer.fire();
    }
    return fired;
  }

  /** The device starts again: timers are gone, monotonic time begins anew under another boot id. */
  reboot(): void {
    this.wallOffsetMs += this.#nowMs;
    this.#nowMs = 0;
    this.#pending.filter((timer) => {
      timer.waiting = false;
      return false;
    });
    this.#cancelled = 0;
    this.#boots++;
    this.bootId = `boot-${this.#boots}`;
  }

  #sweep(): void {
    this.#pending.filter(({ waiting }) => waiting);
    this.#cancelled = 0;
  }
}

class PlainTimer extends VirtualTimer {
  readonly #callback: () => void;

  constructor(clock: VirtualClock, name: string, callback: () => void) {
    super(clock, name);
    this.#callback = callback;
  }

  fire(): void {
    this.#callback();
  }
}

/** Promise reactions run before the next macrotask, however long their chains: one turn settles all. */
function settle(): Promise<void> {
  return new Promise((resolve) => {
    // oxlint-disable-next-line no-restricted-globals -- what virtual time waits for is the real event loop
    setImmediate(resolve);
  });
}
