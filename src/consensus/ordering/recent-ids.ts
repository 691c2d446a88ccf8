/** The last ids, up to so many, in the order in which they came: what comes in twice is applied once. */
export class RecentIds {
  readonly #max: number;
  readonly #known = new Set<string>();
  /** A ring: the oldest is at `#next` once it is full. */
  #order: string[] = [];
  #next = 0;

  constructor(max: number) {
    this.#max = max;
  }

  has(id: string): boolean {
    return this.#known.has(id);
  }

  /** @returns false when it is one of them already */
  add(id: string): boolean {
    if (this.#known.has(id)) return false;
    this.#known.add(id);
    const oldest = this.#order[this.#next];
    if (oldest !== undefined) this.#known.delete(oldest);
    this.#order[this.#next] = id;
    this.#next = (this.#next + 1) % this.#max;
    return true;
  }

  /** @returns all of them, oldest first */
  list(): readonly string[] {
    return [...this.#order.slice(this.#next), ...this.#order.slice(0, this.#next)];
  }

  /** Takes the place of all of them. */
  replace(ids: readonly string[]): void {
    this.#known.clear();
    this.#order = [];
    this.#next = 0;
    for (const id of ids) this.add(id);
  }
}
