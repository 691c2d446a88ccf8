import { type Patience, Waiting } from "../ordering/waiting.ts";

interface Parts {
  readonly waitingMax: number;
  readonly nowMs: () => number;
  /** Puts an operation that does nothing into the order. @returns once it is applied here */
  readonly pass: (patience: Patience) => Promise<unknown>;
  /** One operation waits no longer than that. */
  readonly timeoutMs: number;
}

/**
 * Reads wait until an operation that was put in after them is applied here: all that was applied anywhere before stands
 * before it. Those that come while one is under way go together with the next one.
 */
export class Reads {
  readonly #parts: Parts;
  readonly #waiting: Waiting<undefined>;
  #count = 0;
  #next: string[] = [];
  #isUnderWay = false;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#waiting = new Waiting(parts.waitingMax);
  }

  /** @throws AgreementError, by rejecting */
  wait(patience: Patience): Promise<void> {
    const key = String(++this.#count);
    const done = this.#waiting.add(key, this.#parts.nowMs(), patience);
    if (this.#waiting.has(key)) this.#next.push(key);
    this.#pass();
    return done;
  }

  tick(nowMs: number): void {
    this.#waiting.expire(nowMs);
    this.#pass();
  }

  fail(error: Error): void {
    this.#next = [];
    this.#waiting.fail(error);
  }

  #pass(): void {
    this.#next = this.#next.filter((key) => this.#waiting.has(key));
    if (this.#isUnderWay || this.#next.length === 0) return;
    this.#isUnderWay = true;
    const keys = this.#next;
    this.#next = [];
    this.#parts.pass({ timeoutMs: this.#parts.timeoutMs }).then(
      () => {
        this.#isUnderWay = false;
        for (const key of keys) this.#waiting.settle(key, undefined);
        this.#pass();
      },
      () => {
        this.#isUnderWay = false;
        // Who still waits goes with the next one.
        this.#next = [...keys, ...this.#next];
      },
    );
  }
}
