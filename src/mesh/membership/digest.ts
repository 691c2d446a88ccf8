import type { RecordVersion } from "../records/known-record.ts";

/** Parts of the member table that are compared each by itself. */
export const BUCKETS = 64;

/** @returns 0 … 63 */
export function bucketOf(hash: number): number {
  return mix32(hash) >>> 26;
}

/**
 * Sums, per bucket, over the versions of the members in it. Sums do not depend on order and can be kept up to date by
 * adding and taking away, so neither a change nor a comparison looks at the whole table (Demers et al. 1987, "Epidemic
 * Algorithms", incremental checksums). It guards against loss, not against forgery: records are signed.
 */
export class TableDigest {
  readonly #words = new Uint32Array(2 * BUCKETS);

  add(hash: number, version: RecordVersion): void {
    this.#mix(hash, version, 1);
  }

  remove(hash: number, version: RecordVersion): void {
    this.#mix(hash, version, -1);
  }

  /** Two words for each bucket. */
  words(): number[] {
    return [...this.#words];
  }

  /** @returns one bit for each bucket that differs: the first word for buckets 0–31, the second for 32–63 */
  differences(words: readonly number[]): readonly [number, number] {
    const mask: [number, number] = [0, 0];
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const at = 2 * bucket;
      if (words[at] === this.#words[at] && words[at + 1] === this.#words[at + 1]) continue;
      if (bucket < 32) mask[0] = (mask[0] | (1 << bucket)) >>> 0;
      else mask[1] = (mask[1] | (1 << (bucket - 32))) >>> 0;
    }
    return mask;
  }

  #mix(hash: number, { epoch, sequence }: RecordVersion, sign: 1 | -1): void {
    const low = mix32(mix32(hash ^ epoch) ^ sequence);
    const high = mix32(low ^ mix32(hash + 0x9e3779b9));
    const at = 2 * bucketOf(hash);
    this.#words[at] = (this.#words[at] ?? 0) + sign * low;
    this.#words[at + 1] = (this.#words[at + 1] ?? 0) + sign * high;
  }
}

/** @returns whether the bucket's bit is set */
export function inMask(mask: readonly [number, number], bucket: number): boolean {
  return ((bucket < 32 ? mask[0] >>> bucket : mask[1] >>> (bucket - 32)) & 1) === 1;
}

/** The finalizer of MurmurHash3, 32 bits. */
export function mix32(value: number): number {
  let word = value | 0;
  word = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
  return (word ^ (word >>> 16)) >>> 0;
}
