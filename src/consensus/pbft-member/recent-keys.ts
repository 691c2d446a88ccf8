import { putHex, toHex } from "../../platform/hex.ts";

/** Bytes of a key, which has twice as many hexadecimal digits. */
const KEY_BYTES = 16;
/** Room for so many keys at first. */
const KEYS_FIRST = 64;

/**
 * The last entries that were decided, by their keys: part of what all members of a group hold alike. They stand in a ring, so
 * that two states differ only in the places that are new.
 */
export class RecentKeys {
  readonly #max: number;
  readonly #known = new Set<string>();
  /** Keys in the order of their places, and the same as bytes. */
  readonly #places: string[] = [];
  #bytes = new Uint8Array(0);
  /** Place of the next one. */
  #next = 0;

  constructor(max: number) {
    this.#max = max;
  }

  has(key: string): boolean {
    return this.#known.has(key);
  }

  /** Takes note of a key; the oldest goes where there are too many. @returns false when it is known */
  add(key: string): boolean {
    if (this.#known.has(key)) return false;
    const oldest = this.#places[this.#next];
    if (oldest !== undefined) this.#known.delete(oldest);
    this.#known.add(key);
    this.#places[this.#next] = key;
    this.#reserve(this.#places.length);
    putHex(this.#bytes, this.#next * KEY_BYTES, key);
    this.#next = (this.#next + 1) % this.#max;
    return true;
  }

  /** @returns the keys, by their places, and the place of the next one */
  snapshot(): { readonly keys: Uint8Array; readonly next: number } {
    return { keys: this.#bytes.subarray(0, this.#places.length * KEY_BYTES), next: this.#next };
  }

  /** Takes over what {@link snapshot} gave. @throws RangeError when it is no such thing */
  restore({ keys, next }: { readonly keys: Uint8Array; readonly next: number }): void {
    const count = keys.length / KEY_BYTES;
    const isFull = count === this.#max;
    if (!Number.isInteger(count) || count > this.#max || (isFull ? next >= count : next !== count))
      throw new RangeError("these are no recent keys");
    this.#known.clear();
    this.#places.length = 0;
    this.#bytes = Uint8Array.from(keys);
    this.#next = next;
    for (let at = 0; at < keys.length; at += KEY_BYTES) {
      const key = toHex(keys.subarray(at, at + KEY_BYTES));
      this.#places.push(key);
      this.#known.add(key);
    }
  }

  #reserve(count: number): void {
    if (count * KEY_BYTES <= this.#bytes.length) return;
    const room = Math.min(Math.max(KEYS_FIRST, 2 * count), this.#max);
    const grown = new Uint8Array(room * KEY_BYTES);
    grown.set(this.#bytes);
    this.#bytes = grown;
  }
}
