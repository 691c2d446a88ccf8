import type { Clock, Timer } from "../clock.ts";

/** Before this the wall clock can not be right: this program did not exist. */
const BUILT_AFTER_MS = Date.UTC(2026, 10, 1);

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

  setTimer(_name: string, delayMs: number, callback: () => void): Timer {
    const timer = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timer) };
  }
}
