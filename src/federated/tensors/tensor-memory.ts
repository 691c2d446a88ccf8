import { ENTRY_BYTES } from "./options.ts";
import { TensorError } from "./tensor-error.ts";

/** Owners of pins, and pins of one owner. */
const OWNERS_MAX = 64;
const PINS_MAX = 4_096;

/** Tensors in memory: those that were not asked for longest go first, pinned ones never. */
export class TensorMemory {
  readonly #bytesMax: number;
  /** Least recently used first. */
  readonly #tensors = new Map<string, Uint8Array>();
  readonly #owners = new Map<string, ReadonlySet<string>>();
  /** How many owners have pinned it, whether it is there or not. */
  readonly #pins = new Map<string, number>();
  #bytes = 0;
  #pinnedBytes = 0;
  #evicted = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get counts(): {
    readonly bytes: number;
    readonly pinnedBytes: number;
    readonly tensors: number;
    readonly evicted: number;
  } {
    return {
      bytes: this.#bytes,
      pinnedBytes: this.#pinnedBytes,
      tensors: this.#tensors.size,
      evicted: this.#evicted,
    };
  }

  /** @returns how long it is, if it is there; that is no use of it */
  sizeOf(hash: string): number | undefined {
    return this.#tensors.get(hash)?.length;
  }

  get(hash: string): Uint8Array | undefined {
    const bytes = this.#tensors.get(hash);
    if (bytes === undefined) return undefined;
    this.#tensors.delete(hash);
    this.#tensors.set(hash, bytes);
    return bytes;
  }

  /** @returns false where what is pinned leaves no room; nothing goes then */
  put(hash: string, bytes: Uint8Array): boolean {
    if (this.get(hash) !== undefined) return true;
    const cost = bytes.length + ENTRY_BYTES;
    if (this.#pinnedBytes + cost > this.#bytesMax) return false;
    for (const [other, { length }] of this.#tensors) {
      if (this.#bytes + cost <= this.#bytesMax) break;
      if (this.#pins.has(other)) continue;
      this.#tensors.delete(other);
      this.#bytes -= length + ENTRY_BYTES;
      this.#evicted++;
    }
    this.#tensors.set(hash, bytes);
    this.#bytes += cost;
    if (this.#pins.has(hash)) this.#pinnedBytes += cost;
    return true;
  }

  /** Replaces what the owner has pinned. @throws TensorError `tensor.invalid` where it is too much */
  pin(owner: string, hashes: Iterable<string>): void {
    const after = new Set(hashes);
    if (after.size > PINS_MAX)
      throw new TensorError(
        "tensor.invalid",
        `${owner} pins ${after.size} tensors, ${PINS_MAX} at most`,
      );
    if (after.size > 0 && !this.#owners.has(owner) && this.#owners.size >= OWNERS_MAX)
      throw new TensorError(
        "tensor.invalid",
        `${owner}: only ${OWNERS_MAX} owners may pin tensors`,
      );
    const before = this.#owners.get(owner) ?? new Set();
    for (const hash of after) if (!before.has(hash)) this.#count(hash, 1);
    for (const hash of before) if (!after.has(hash)) this.#count(hash, -1);
    if (after.size === 0) this.#owners.delete(owner);
    else this.#owners.set(owner, after);
  }

  #count(hash: string, by: 1 | -1): void {
    const before = this.#pins.get(hash) ?? 0;
    const after = before + by;
    if (after === 0) this.#pins.delete(hash);
    else this.#pins.set(hash, after);
    if (before > 0 && after > 0) return;
    const bytes = this.#tensors.get(hash);
    if (bytes !== undefined) this.#pinnedBytes += by * (bytes.length + ENTRY_BYTES);
  }
}
