/** A promise that was not kept. */
export interface Violation {
  readonly atMs: number;
  /** Which promise: a stable name, such as `reading-lost`. */
  readonly promise: string;
  /** In words, with whose it was. */
  readonly what: string;
}

/** Takes violations; the first of each promise says what is wrong, so few of them are kept. */
export class Violations {
  static readonly KEPT_MAX = 20;
  readonly kept: Violation[] = [];
  #count = 0;

  get count(): number {
    return this.#count;
  }

  add(atMs: number, promise: string, what: string): void {
    this.#count++;
    if (this.kept.length < Violations.KEPT_MAX) this.kept.push({ atMs, promise, what });
  }
}
