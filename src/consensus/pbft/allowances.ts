/** How much costly work each replica may cause between two looks; who sends what is no use gets none until the next. */
export class Allowances {
  readonly #max: number;
  readonly #taken: number[] = [];

  constructor(max: number) {
    this.#max = max;
  }

  /** @returns false when the replica has had its share */
  take(index: number): boolean {
    const taken = (this.#taken[index] ?? 0) + 1;
    this.#taken[index] = taken;
    return taken <= this.#max;
  }

  /** What it sent was worth nothing. */
  exhaust(index: number): void {
    this.#taken[index] = this.#max;
  }

  refill(): void {
    this.#taken.length = 0;
  }
}
