import { mix32 } from "../membership/digest.ts";
import { FILTER_BYTES_MAX } from "./bounds.ts";

const BITS_PER_NAME = 10;
const HASHES_MAX = 8;
const LN2 = Math.LN2;

/**
 * Whom an asker knows already, in few bits (Bloom 1970, "Space/Time Trade-offs in Hash Coding with Allowable Errors"):
 * who is in it is always found; who is not is taken for known once in a hundred times, and under another seed is not.
 */
export class KnownFilter {
  readonly bytes: Uint8Array;
  readonly hashes: number;
  readonly seed: number;

  private constructor(bytes: Uint8Array, hashes: number, seed: number) {
    this.bytes = bytes;
    this.hashes = hashes;
    this.seed = seed;
  }

  /** @returns a filter that holds these hashes of peer ids */
  static of(names: readonly number[], seed: number): KnownFilter {
    const size = Math.min(FILTER_BYTES_MAX, Math.ceil((names.length * BITS_PER_NAME) / 8));
    const perName = names.length === 0 ? 0 : (8 * size) / names.length;
    const hashes = Math.min(HASHES_MAX, Math.max(1, Math.round(perName * LN2)));
    const filter = new KnownFilter(new Uint8Array(size), hashes, seed);
    for (const name of names)
      filter.#each(name, (byte, bit) => {
        filter.bytes[byte] = (filter.bytes[byte] ?? 0) | bit;
        return true;
      });
    return filter;
  }

  /** @returns the filter of a request; undefined when it breaks a bound */
  static read(bytes: Uint8Array, hashes: number, seed: number): KnownFilter | undefined {
    if (bytes.length > FILTER_BYTES_MAX || hashes > HASHES_MAX) return undefined;
    if (bytes.length > 0 && hashes < 1) return undefined;
    return new KnownFilter(bytes, hashes, seed);
  }

  /** @returns whether it may hold the name; never false for one that was put in */
  has(name: number): boolean {
    return (
      this.bytes.length > 0 && this.#each(name, (byte, bit) => ((this.bytes[byte] ?? 0) & bit) > 0)
    );
  }

  /** Double hashing (Kirsch and Mitzenmacher 2006): two hashes do for all. */
  #each(name: number, visit: (byte: number, bit: number) => boolean): boolean {
    const bits = 8 * this.bytes.length;
    const first = mix32(name ^ this.seed);
    const step = mix32(first ^ 0x9e3779b9) | 1;
    for (let at = 0; at < this.hashes; at++) {
      const place = ((first + Math.imul(at, step)) >>> 0) % bits;
      if (!visit(place >>> 3, 1 << (place & 7))) return false;
    }
    return true;
  }
}
