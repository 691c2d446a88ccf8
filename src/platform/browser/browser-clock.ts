import type { Clock, Timer } from "../clock.ts";

/** Before this the wall clock can not be right: this program did not exist. */
const BUILT_AFTER_MS = Date.UTC(2026, 10, 1);

/** Browsers fire anything longer at once. */
const TIMEOUT_MAX_MS = 2 ** 31 - 1;

/** The clocks of a browser's tab, which is its own boot: nothing compares across two of them. */
export class BrowserClock implements Clock {
  readonly bootId: string;

  /** @param bootId new for every tab */
  constructor(bootId: string) {
    this.bootId = bootId;
  }

  wallMs(): number {
    return Date.now();
  }

  wallTrusted(): boolean {
    return Date.now() > BUILT_AFTER_MS;
  }

  monotonicMs(): number {
    return performance.now();
  }

  setTimer(name: string, delayMs: number, callback: () => void): Timer {
    if (delayMs > TIMEOUT_MAX_MS) {
      let timer = this.setTimer(name, TIMEOUT_MAX_MS, () => {
        timer = this.setTimer(name, delayMs - TIMEOUT_MAX_MS, callback);
      });
      return { cancel: () => timer.cancel() };
    }
    const timer = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timer) };
  }
}
