import { type Patience, Waiting } from "../ordering/waiting.ts";

/** @returns whether it has come about @throws Error when it can not come about any more */
export type Look = () => boolean;

interface Parts {
  readonly waitingMax: number;
  readonly nowMs: () => number;
  /** Somebody waits: `look` has to be called as time passes. */
  readonly onWait: () => void;
}

/** Callers that wait for the group to be in some state, each with its own look at it. */
export class Watches {
  readonly #waiting: Waiting<undefined>;
  readonly #looks = new Map<string, Look>();
  readonly #nowMs: () => number;
  readonly #onWait: () => void;
  #count = 0;

  constructor(parts: Parts) {
    this.#waiting = new Waiting(parts.waitingMax);
    this.#nowMs = parts.nowMs;
    this.#onWait = parts.onWait;
  }

  /** Nobody waits. */
  get isIdle(): boolean {
    return this.#looks.size === 0;
  }

  /** @throws AgreementError, or what the look throws */
  async until(look: Look, patience: Patience): Promise<void> {
    if (look()) return;
    const key = String(++this.#count);
    const failed: { error?: unknown } = {};
    this.#looks.set(key, () => {
      try {
        return look();
      } catch (error) {
        failed.error = error;
        return true;
      }
    });
    this.#onWait();
    try {
      await this.#waiting.add(key, this.#nowMs(), patience);
    } finally {
      this.#looks.delete(key);
    }
    if (failed.error !== undefined) throw failed.error;
  }

  /** Something may have changed, or time has passed. */
  look(): void {
    for (const [key, look] of this.#looks) if (look()) this.#waiting.settle(key, undefined);
    this.#waiting.expire(this.#nowMs());
  }

  /** Those that have not come about never will. */
  fail(error: Error): void {
    this.look();
    this.#waiting.fail(error);
  }
}
