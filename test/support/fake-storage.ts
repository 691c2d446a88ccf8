/** A browser's storage of texts in memory; `charactersMax` is the browser's own limit. */
export class FakeStorage implements Storage {
  readonly #items = new Map<string, string>();
  readonly #charactersMax: number;
  #characters = 0;
  #keys: string[] | undefined;

  constructor(charactersMax = 5_000_000) {
    this.#charactersMax = charactersMax;
  }

  get length(): number {
    return this.#items.size;
  }

  key(index: number): string | null {
    this.#keys ??= [...this.#items.keys()];
    return this.#keys[index] ?? null;
  }

  getItem(key: string): string | null {
    return this.#items.get(key) ?? null;
  }

  setItem(key: string, value: string): void {
    const before = this.#items.get(key);
    const after = this.#characters + value.length - (before?.length ?? -key.length);
    if (after > this.#charactersMax) throw new DOMException("full", "QuotaExceededError");
    this.#characters = after;
    this.#items.set(key, value);
    this.#keys = undefined;
  }

  removeItem(key: string): void {
    const before = this.#items.get(key);
    if (before === undefined) return;
    this.#characters -= key.length + before.length;
    this.#items.delete(key);
    this.#keys = undefined;
  }

  clear(): void {
    for (const key of this.#items.keys()) this.removeItem(key);
  }
}
