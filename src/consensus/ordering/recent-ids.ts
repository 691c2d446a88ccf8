/** Names a value for ever, so that one that is put in again is applied once. */
export const VALUE_ID_BYTES = 16;

/**
 * The last values that were decided, by their ids: part of what all members of a group hold alike. They stand in a ring, of
 * which only the places that are new differ between two states.
 */
export class RecentIds {
  readonly #max: number;
  readonly #known = new Set<string>();
  /** Ids one after the other, and beside them their keys. */
  #ring = new Uint8Array(0);
  readonly #keys: string[] = [];
  /** Where the next one goes. */
  #next = 0;

  constructor(max: number) {
    this.#max = max;
  }

  has(id: Uint8Array): boolean {
    return this.#known.has(keyOf(id));
  }

  /** Takes note of an id; the oldest goes where there are too many. @returns false when it is known */
  add(id: Uint8Array): boolean {
    const key = keyOf(id);
    if (this.#known.has(key)) return false;
    const place = this.#next / VALUE_ID_BYTES;
    const oldest = this.#keys[place];
    if (oldest !== undefined) this.#known.delete(oldest);
    else if (this.#ring.length <= this.#next) this.#grow();
    this.#known.add(key);
    this.#keys[place] = key;
    this.#ring.set(id, this.#next);
    this.#next = (this.#next + VALUE_ID_BYTES) % (this.#max * VALUE_ID_BYTES);
    return true;
  }

  /** @returns the ids, in the places where they stand, and the number of bytes before the place of the next one */
  snapshot(): { readonly ids: Uint8Array; readonly next: number } {
    return {
      ids: this.#ring.subarray(0, this.#known.size * VALUE_ID_BYTES),
      next: this.#next,
    };
  }

  /** Takes over what {@link snapshot} gave. @throws RangeError when it is no such thing */
  restore({ ids, next }: { readonly ids: Uint8Array; readonly next: number }): void {
    const count = ids.length / VALUE_ID_BYTES;
    const isFull = count === this.#max;
    const isSound =
      Number.isInteger(count) &&
      count <= this.#max &&
      next % VALUE_ID_BYTES === 0 &&
      (isFull ? next < ids.length : next === ids.length);
    if (!isSound) throw new RangeError("these are no recent ids");
    this.#known.clear();
    this.#keys.length = 0;
    this.#ring = Uint8Array.from(ids);
    this.#next = next;
    for (let at = 0; at < ids.length; at += VALUE_ID_BYTES)
      this.#keys.push(keyOf(ids.subarray(at, at + VALUE_ID_BYTES)));
    for (const key of this.#keys) this.#known.add(key);
  }

  #grow(): void {
    const bytes = Math.max(64 * VALUE_ID_BYTES, 2 * this.#ring.length);
    const grown = new Uint8Array(Math.min(bytes, this.#max * VALUE_ID_BYTES));
    grown.set(this.#ring);
    this.#ring = grown;
  }
}

/** Half as long as hexadecimal digits, and made in one go: there are thousands a second. */
function keyOf(id: Uint8Array): string {
  return String.fromCharCode(...id);
}
