/** Which orders wait for which. */
export class Waiters {
  readonly #waiters = new Map<string, Set<string>>();

  /** Whether others wait for it. */
  has(id: string): boolean {
    return this.#waiters.has(id);
  }

  add(id: string, waiter: string): void {
    const known = this.#waiters.get(id);
    if (known === undefined) this.#waiters.set(id, new Set([waiter]));
    else known.add(waiter);
  }

  /** The waiter waits no more. */
  remove(id: string, waiter: string): void {
    const waiters = this.#waiters.get(id);
    waiters?.delete(waiter);
    if (waiters?.size === 0) this.#waiters.delete(id);
  }

  /** It has ended. @returns those that waited for it */
  take(id: string): readonly string[] {
    const waiters = [...(this.#waiters.get(id) ?? [])];
    this.#waiters.delete(id);
    return waiters;
  }
}
