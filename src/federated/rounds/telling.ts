import type { PeerId } from "../../platform/signer.ts";

interface Told {
  readonly to: PeerId;
  sentAtMs: number;
  answered: boolean;
}

/** What was told to whom, and what has to be told again since no answer came. */
export class Telling {
  readonly #retellMs: number;
  readonly #told = new Map<string, Told>();

  constructor(retellMs: number) {
    this.#retellMs = retellMs;
  }

  /** @returns whether it is to be sent now */
  due(what: string, to: PeerId, nowMs: number): boolean {
    const key = `${what}/${to}`;
    const told = this.#told.get(key);
    if (told === undefined) {
      this.#told.set(key, { to, sentAtMs: nowMs, answered: false });
      return true;
    }
    if (told.answered || nowMs < told.sentAtMs + this.#retellMs) return false;
    told.sentAtMs = nowMs;
    return true;
  }

  /** Nothing else is to be said any more, to nobody else: what was not answered of that is not waited for. */
  only(wanted: Iterable<{ readonly what: string; readonly to: PeerId }>): void {
    const keys = new Set(Array.from(wanted, ({ what, to }) => `${what}/${to}`));
    for (const key of this.#told.keys()) if (!keys.has(key)) this.#told.delete(key);
  }

  answered(what: string, to: PeerId): void {
    const told = this.#told.get(`${what}/${to}`);
    if (told !== undefined) told.answered = true;
  }

  /** It has forgotten everything. */
  forgotten(by: PeerId): void {
    for (const [key, { to }] of this.#told) if (to === by) this.#told.delete(key);
  }

  /** Everybody is to be told again. */
  clear(): void {
    this.#told.clear();
  }

  /** When something is to be sent again. */
  nextAtMs(): number {
    let nextAtMs = Number.POSITIVE_INFINITY;
    for (const { answered, sentAtMs } of this.#told.values())
      if (!answered) nextAtMs = Math.min(nextAtMs, sentAtMs + this.#retellMs);
    return nextAtMs;
  }
}
