import { toHex } from "../../platform/hex.ts";
import { type Patience, Waiting } from "../ordering/waiting.ts";

const CONTEXT_BYTES = 8;

interface Parts {
  readonly waitingMax: number;
  /** A question that got lost is asked again. */
  readonly retryAfterMs: number;
  readonly nowMs: () => number;
  /** Asks the group for the index that reads have to wait for. */
  readonly ask: (context: Uint8Array) => void;
}

/** Reads that have asked together. */
interface Round {
  readonly context: Uint8Array;
  readonly reads: string[];
  askedAtMs: number;
  /** Once the group has answered: what has to be applied. */
  index: number | undefined;
}

/**
 * Reads wait until what was decided before them is applied here (Ongaro 2014, section 6.4). Those that come while a
 * question is under way ask together with the next one.
 */
export class ReadBarrier {
  readonly #parts: Parts;
  readonly #waiting: Waiting<undefined>;
  #count = 0;
  #next: string[] = [];
  #asked: Round | undefined;
  #answered: Round[] = [];
  #appliedIndex = 0;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#waiting = new Waiting(parts.waitingMax);
  }

  /** @throws AgreementError */
  wait(patience: Patience): Promise<void> {
    const key = String(++this.#count);
    const done = this.#waiting.add(key, this.#parts.nowMs(), patience);
    this.#next.push(key);
    this.#ask();
    return done;
  }

  /** Nobody waits to read. */
  get isIdle(): boolean {
    return this.#waiting.isIdle;
  }

  /** The group says what has to be applied. */
  confirmed(context: Uint8Array, index: number): void {
    const round = this.#asked;
    if (round === undefined || toHex(round.context) !== toHex(context)) return;
    round.index = index;
    this.#asked = undefined;
    this.#answered.push(round);
    this.applied(this.#appliedIndex);
    this.#ask();
  }

  /** Everything up to there is applied. */
  applied(index: number): void {
    this.#appliedIndex = index;
    while ((this.#answered[0]?.index ?? Number.POSITIVE_INFINITY) <= index)
      for (const key of this.#answered.shift()?.reads ?? []) this.#waiting.settle(key, undefined);
  }

  tick(): void {
    const nowMs = this.#parts.nowMs();
    this.#waiting.expire(nowMs);
    const round = this.#asked;
    if (round === undefined || nowMs - round.askedAtMs < this.#parts.retryAfterMs) return;
    round.askedAtMs = nowMs;
    this.#parts.ask(round.context);
  }

  fail(error: Error): void {
    this.#waiting.fail(error);
  }

  #ask(): void {
    if (this.#asked !== undefined || this.#next.length === 0) return;
    const context = new Uint8Array(CONTEXT_BYTES);
    new DataView(context.buffer).setFloat64(0, this.#count);
    this.#asked = { context, reads: this.#next, askedAtMs: this.#parts.nowMs(), index: undefined };
    this.#next = [];
    this.#parts.ask(context);
  }
}
