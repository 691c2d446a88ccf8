import type { Clock, Timer } from "../platform/clock.ts";
import type { VirtualClock } from "./virtual-clock.ts";

/**
 * The clocks of one simulated device, on the time of the world: a boot begins monotonic time anew, the wall clock may
 * jump, and a process that was killed hears of none of its timers any more.
 */
export class DeviceClock {
  readonly #world: VirtualClock;
  #boots = 1;
  #bootedAtMs: number;
  /** What the wall clock shows beyond the world's time. */
  wallOffsetMs: number;
  wallTrusted = true;

  constructor(world: VirtualClock, wallOffsetMs = world.wallOffsetMs) {
    this.#world = world;
    this.#bootedAtMs = world.monotonicMs();
    this.wallOffsetMs = wallOffsetMs;
  }

  get bootId(): string {
    return `boot-${this.#boots}`;
  }

  wallMs(): number {
    return this.#world.monotonicMs() + this.wallOffsetMs;
  }

  monotonicMs(): number {
    return this.#world.monotonicMs() - this.#bootedAtMs;
  }

  /** The device starts again. Processes of the boot before must have ended. */
  reboot(): void {
    this.#boots++;
    this.#bootedAtMs = this.#world.monotonicMs();
  }

  setTimer(name: string, delayMs: number, callback: () => void): Timer {
    return this.#world.setTimer(name, delayMs, callback);
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
    const fire = (): void => {
      if (this.#ended) return;
      const waitMs = this.#stalledUntilMs - this.monotonicMs();
      if (waitMs > 0) {
        timer = this.#device.setTimer(name, waitMs, fire);
        return;
      }
      this.#onFire(name);
      callback();
    };
    let timer = this.#device.setTimer(name, delayMs, fire);
    // Of one that was held up by a stall it is the later one that has to go.
    return { cancel: () => timer.cancel() };
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
