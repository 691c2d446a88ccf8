import { AgreementError, type Patience, Waiting } from "../ordering/waiting.ts";

/** Callers that wait for what has a name, any number for each name. */
export class NamedWaits<T> {
  readonly #waiting: Waiting<T | AgreementError>;
  readonly #keys = new Map<string, Set<string>>();
  #serial = 0;

  constructor(max: number) {
    this.#waiting = new Waiting(max);
  }

  /** Names that are waited for. */
  get names(): readonly string[] {
    return [...this.#keys.keys()];
  }

  get isIdle(): boolean {
    return this.#keys.size === 0;
  }

  has(name: string): boolean {
    return this.#keys.has(name);
  }

  /** @throws AgreementError */
  async wait(name: string, nowMs: number, patience: Patience): Promise<T> {
    const key = `${++this.#serial}`;
    const settled = this.#waiting.add(key, nowMs, patience);
    if (this.#waiting.has(key)) {
      const keys = this.#keys.get(name) ?? new Set();
      this.#keys.set(name, keys.add(key));
    }
    try {
      const value = await settled;
      if (value instanceof AgreementError) throw value;
      return value;
    } finally {
      this.#forget(name, key);
    }
  }

  /** Ends all waits for the name, with the value or with an error. */
  settle(name: string, value: T | AgreementError): void {
    for (const key of this.#keys.get(name) ?? []) this.#waiting.settle(key, value);
    this.#keys.delete(name);
  }

  /** Ends the waits whose time is over. */
  expire(nowMs: number): void {
    this.#waiting.expire(nowMs);
  }

  fail(error: AgreementError): void {
    this.#waiting.fail(error);
  }

  #forget(name: string, key: string): void {
    const keys = this.#keys.get(name);
    keys?.delete(key);
    if (keys?.size === 0) this.#keys.delete(name);
  }
}
