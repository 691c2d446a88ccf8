import { AgreementError, type Patience, Waiting } from "../ordering/waiting.ts";
import type { Applied } from "./group-state.ts";
import { type Named, sizeOfOperation } from "./operation.ts";

/** What came of an operation, and where it stands. */
export interface Outcome extends Pick<Applied, "result" | "refusal"> {
  readonly position: number;
}

interface Submission {
  readonly named: Named;
  readonly outcome: Promise<Outcome>;
  /** Not told to anybody before. */
  readonly isReady: () => boolean;
  readonly timeoutMs: number;
  toldAtMs: number;
}

/** What callers of this member have put in, until it is decided or their time is over. Bounded in number and bytes. */
export class Submissions {
  readonly #bytesMax: number;
  readonly #waiting: Waiting<Outcome>;
  readonly #submissions = new Map<string, Submission>();
  /** Not told yet. */
  #fresh = new Set<string>();
  #bytes = 0;
  readonly #forgotten: (name: string) => void;

  /** @param forgotten hears of everything that nobody waits for any more */
  constructor(max: number, bytesMax: number, forgotten: (name: string) => void) {
    this.#waiting = new Waiting(max);
    this.#bytesMax = bytesMax;
    this.#forgotten = forgotten;
  }

  get size(): number {
    return this.#submissions.size;
  }

  /** @throws AgreementError, by rejecting */
  put(
    named: Named,
    patience: Patience,
    nowMs: number,
    isReady: () => boolean = always,
  ): Promise<Outcome> {
    const { name } = named;
    const before = this.#submissions.get(name);
    if (before !== undefined) return before.outcome;
    const size = sizeOfOperation(named.operation);
    if (this.#bytes + size > this.#bytesMax)
      return Promise.reject(
        new AgreementError("consensus.busy", `${this.#bytesMax} bytes wait for this group already`),
      );
    const outcome = this.#waiting.add(name, nowMs, patience);
    if (!this.#waiting.has(name)) return outcome;
    const { timeoutMs } = patience;
    const toldAtMs = Number.NEGATIVE_INFINITY;
    this.#submissions.set(name, { named, outcome, isReady, timeoutMs, toldAtMs });
    this.#bytes += size;
    const forget = (): void => {
      this.#submissions.delete(name);
      this.#bytes -= size;
      this.#forgotten(name);
    };
    outcome.then(forget, forget);
    this.#fresh.add(name);
    return outcome;
  }

  settle(name: string, outcome: Outcome): void {
    if (this.#submissions.has(name)) this.#waiting.settle(name, outcome);
  }

  /** @returns what was not told to the others since then, and counts as told now */
  due(sinceMs: number, nowMs: number): { readonly named: Named; readonly timeoutMs: number }[] {
    const due: Submission[] = [];
    const names = sinceMs === Number.NEGATIVE_INFINITY ? this.#fresh : this.#submissions.keys();
    this.#fresh = new Set();
    for (const name of names) {
      const submission = this.#submissions.get(name);
      if (submission === undefined || submission.toldAtMs > sinceMs || !submission.isReady())
        continue;
      submission.toldAtMs = nowMs;
      due.push(submission);
    }
    return due;
  }

  expire(nowMs: number): void {
    this.#waiting.expire(nowMs);
  }

  fail(error: Error): void {
    this.#waiting.fail(error);
  }
}

function always(): boolean {
  return true;
}
