import { putNewest } from "../access/bounded.ts";
import { hashBytes } from "./trace.ts";

/** Records, what most disks have in common, are shorter; what is longer is an agent's own. */
const BYTES_MAX = 1_024;
/** Values and keys that can be found again, the newest of each hash: what a fleet of any size writes within minutes. */
const KEPT_MAX = 65_536;

/** What the disks of a fleet have in common is held once: ten thousand agents keep the same records of each other. */
export class SharedContents {
  readonly #values = new Map<number, Uint8Array>();
  readonly #keys = new Map<string, string>();

  /** @returns the same bytes, whatever happens to these; nobody may change them */
  of(value: Uint8Array): Uint8Array {
    if (value.length > BYTES_MAX) return value.slice();
    const hash = hashBytes(value);
    const known = this.#values.get(hash);
    if (known !== undefined && isSame(known, value)) return known;
    // Of its own buffer, not a place in Node's pool, which it would hold on to.
    const kept = Uint8Array.from(value);
    putNewest(this.#values, hash, kept, KEPT_MAX);
    return kept;
  }

  /** @returns the same text, in one place */
  key(text: string): string {
    const known = this.#keys.get(text);
    if (known !== undefined) return known;
    putNewest(this.#keys, text, text, KEPT_MAX);
    return text;
  }
}

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}
