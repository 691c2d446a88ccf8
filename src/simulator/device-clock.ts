import type { Clock, Timer } from "../platform/clock.ts";
import type { VirtualClock } from "./virtual-clock.ts";
import { VirtualTimer } from "./virtual-timer.ts";

/**
 * The clocks of one simulated device, on the time of the world: a boot begins monotonic time anew, the wall clock may
 * jump, and a process that was killed hears of none of its timers any more.
 */
export class DeviceClock {
  readonly world: VirtualClock;
  #boots = 1;
  #bootedAtMs: number;
  /** What the wall clock shows beyond the world's time. */
  wallOffsetMs: number;
  wallTrusted = true;

  constructor(world: VirtualClock, wallOffsetMs = world.wallOffsetMs) {
    this.world = world;
    this.#bootedAtMs = world.monotonicMs();
    this.wallOffsetMs = wallOffsetMs;
  }

  get bootId(): string {
    return `boot-${this.#boots}`;
  }

  wallMs(): number {
    return this.world.monotonicMs() + this.wallOffsetMs;
  }

  monotonicMs(): number {
    return this.world.monotonicMs() - this.#bootedAtMs;
  }

  /** The device starts again. Processes of the boot before must have ended. */
  reboot(): void {
    this.#boots++;
    this.#bootedAtMs = this.world.monotonicMs();
  }

  setTimer(name: string, delayMs: number, callback: () => void): Timer {
    return this.world.setTimer(name, delayMs, callback);
  }
}

/** The clock of one process on a device, until it ends. */
export class ProcessClock implements Clock {
  readonly #device: DeviceClock;
  readonly #onFire: (name: string) => void;
  readonly bootId: string;
  #ended = false;
  #stalledUntilMs = 0;

  /** @param onFire hears of every timer, right before its callback is called */
  constructor(device: DeviceClock, onFire: (name: string) => void) {
    this.#device = device;
    this.#onFire = onFire;
    this.bootId = device.bootId;
  }

  wallMs(): number {
    return this.#device.wallMs();
  }

  wallTrusted(): boolean {
    return this.#device.wallTrusted;
  }

  monotonicMs(): number {
    return this.#device.monotonicMs();
  }

  setTimer(name: string, delayMs: number, callback: () => void): Timer {
    const { world } = this.#device;
    const timer = new ProcessTimer(world, name, this, callback);
    world.start(timer, delayMs);
    return timer;
  }

  /** A timer of this process is due. */
  due(timer: ProcessTimer): void {
    if (this.#ended) return;
    const waitMs = this.#stalledUntilMs - this.monotonicMs();
    if (waitMs > 0) {
      this.#device.world.start(timer, waitMs);
      return;
    }
    this.#onFire(timer.name);
    timer.callback();
  }

  /** Nothing fires for that long, as while a process is stopped or swapped out; then all of it does. */
  stall(durationMs: number): void {
    this.#stalledUntilMs = this.monotonicMs() + durationMs;
  }

  /** The process is gone: what it waited for never happens. */
  end(): void {
    this.#ended = true;
  }
}

class ProcessTimer extends VirtualTimer {
  readonly callback: () => void;
  readonly #process: ProcessClock;

  constructor(world: VirtualClock, name: string, process: ProcessClock, callback: () => void) {
    super(world, name);
    this.#process = process;
    this.callback = callback;
  }

  fire(): void {
    this.#process.due(this);
  }
}
