/** Why something that a group was asked for did not come about, as far as this member knows. */
export class AgreementError extends Error {
  override readonly name = "AgreementError";
  /**
   * `consensus.timeout`: not decided in time; it may still be. `consensus.busy`: too much waits already.
   * `consensus.cancelled`: by the caller; it may still be decided. `consensus.stopped`: this member stops.
   * `consensus.unready`: this member does not know enough of the group yet. `consensus.refused`: it can not be done.
   */
  readonly code:
    | "consensus.timeout"
    | "consensus.busy"
    | "consensus.cancelled"
    | "consensus.stopped"
    | "consensus.unready"
    | "consensus.refused";
  constructor(code: AgreementError["code"], message: string) {
    super(message);
    this.code = code;
  }
}

/** How long to wait, and what ends the wait early. */
export interface Patience {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

interface Entry<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
  readonly untilMs: number;
}

/** Callers that wait for something under a name, each until its own deadline. */
export class Waiting<T> {
  readonly #entries = new Map<string, Entry<T>>();
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  get isIdle(): boolean {
    return this.#entries.size === 0;
  }

  /** @throws AgreementError `consensus.busy` */
  add(key: string, nowMs: number, { timeoutMs, signal }: Patience): Promise<T> {
    if (this.#entries.size >= this.#max)
      return Promise.reject(
        new AgreementError("consensus.busy", `${this.#max} wait for this group already`),
      );
    return new Promise((resolve, reject) => {
      const cancel = (): void => {
        this.#entries.delete(key);
        reject(new AgreementError("consensus.cancelled", "the caller waits no more"));
      };
      if (signal?.aborted === true) {
        cancel();
        return;
      }
      signal?.addEventListener("abort", cancel, { once: true });
      const settled = (): void => signal?.removeEventListener("abort", cancel);
      this.#entries.set(key, {
        untilMs: nowMs + timeoutMs,
        resolve: (value) => {
          settled();
          resolve(value);
        },
        reject: (error) => {
          settled();
          reject(error);
        },
      });
    });
  }

  settle(key: string, value: T): void {
    const entry = this.#entries.get(key);
    this.#entries.delete(key);
    entry?.resolve(value);
  }

  /** Ends the waits whose time is over. */
  expire(nowMs: number): void {
    for (const [key, { untilMs, reject }] of this.#entries)
      if (untilMs <= nowMs) {
        this.#entries.delete(key);
        reject(new AgreementError("consensus.timeout", "not decided in time; it may still be"));
      }
  }

  fail(error: Error): void {
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    for (const { reject } of entries) reject(error);
  }
}
