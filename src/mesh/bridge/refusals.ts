import { type BridgeCode, BridgeError, toBridgeError } from "../../platform/bridge.ts";
import type { Logger } from "../../platform/logger.ts";

/** Counts what did not cross the bridge, by code. */
export class Refusals {
  readonly #logger: Logger;
  readonly #counts = new Map<string, number>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** By code. */
  get counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }

  add(code: BridgeCode): void {
    this.#counts.set(code, (this.#counts.get(code) ?? 0) + 1);
  }

  /** Counts an error that nobody else hears of. */
  addError(error: unknown): void {
    const { code } = toBridgeError(error);
    this.add(code);
    if (code === "bridge.failed")
      this.#logger.error("the bridge failed", { reason: String(error) });
  }

  /** @returns an error that is counted, to be thrown */
  error(code: BridgeCode, message: string): BridgeError {
    this.add(code);
    return new BridgeError(code, message);
  }

  /** @throws BridgeError when there are as many as there may be */
  bound(now: number, most: number, what: string): void {
    if (now >= most) throw this.error("bridge.busy", `no more than ${most} ${what}`);
  }
}
