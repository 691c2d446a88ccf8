import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Clock, Timer } from "../clock.ts";

/** Before this the wall clock can not be right: this program did not exist. */
const BUILT_AFTER_MS = Date.UTC(2026, 10, 1);

/**
 * When this process began, by CLOCK_MONOTONIC: that counts from boot, so that it compares across restarts.
 * `performance.now` reads the same clock from there, and costs a tenth: it makes no big integer.
 */
const STARTED_MS = Number(process.hrtime.bigint() / 1_000n) / 1_000 - performance.now();

/** Node fires anything longer at once. */
const TIMEOUT_MAX_MS = 2 ** 31 - 1;

/** The machine's clocks. */
export class SystemClock implements Clock {
  readonly bootId: string;

  /** @param root where `/proc` is; the boot id is the kernel's own. */
  constructor(root = "/") {
    this.bootId = readBootId(root);
  }

  wallMs(): number {
    return Date.now();
  }

  wallTrusted(): boolean {
    return Date.now() > BUILT_AFTER_MS;
  }

  monotonicMs(): number {
    return STARTED_MS + performance.now();
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

function readBootId(root: string): string {
  try {
    return readFileSync(`${root}/proc/sys/kernel/random/boot_id`, "utf8").trim();
  } catch {
    // Without the kernel's word every start counts as a boot: ages are then never over-estimated.
    return randomUUID();
  }
}
