import { ENTRY_BYTES } from "./options.ts";
import { TensorError } from "./tensor-error.ts";

/** Owners of pins, and pins of one owner. */
const OWNERS_MAX = 64;
const PINS_MAX = 4_096;
/** Models have to fit beside what is reserved. */
const RESERVED_SHARE_MAX = 0.75;

/** Tensors in memory: those that were not asked for longest go first, pinned ones never. */
export class TensorMemory {
  readonly #bytesMax: number;
  readonly #looseMax: number;
  /** Least recently used first. */
  readonly #tensors = new Map<string, Uint8Array>();
  readonly #owners = new Map<string, ReadonlySet<string>>();
  /** How many owners have pinned it, whether it is there or not. */
  readonly #pins = new Map<string, number>();
  /** What owners hold besides tensors. */
  readonly #reserved = new Map<string, number>();
  #reservedBytes = 0;
  #bytes = 0;
  #pinnedBytes = 0;
  #pinnedTensors = 0;
  #evicted = 0;

  /** @param looseMax of tensors that nobody has pinned, beside the one that came last */
  constructor(bytesMax: number, looseMax = Number.POSITIVE_INFINITY) {
    this.#bytesMax = bytesMax;
    this.#looseMax = looseMax;
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
    if (this.#pinnedBytes + cost > this.#roomBytes) return false;
    this.#makeRoom(cost);
    this.#tensors.set(hash, bytes);
    this.#bytes += cost;
    if (this.#pins.has(hash)) {
      this.#pinnedBytes += cost;
      this.#pinnedTensors++;
    }
    return true;
  }

  /**
   * Counts something else that an owner holds, in place of what it held before; what nobody pinned goes for it.
   * @returns false where that, with what is pinned, is too much, or leaves less than a quarter for tensors; nothing is changed then
   */
  reserve(owner: string, bytes: number): boolean {
    const others = this.#reservedBytes - (this.#reserved.get(owner) ?? 0);
    const most = Math.min(this.#bytesMax - this.#pinnedBytes, RESERVED_SHARE_MAX * this.#bytesMax);
    if (bytes > 0 && others + bytes > most) return false;
    this.#reservedBytes = others + bytes;
    if (bytes === 0) this.#reserved.delete(owner);
    else this.#reserved.set(owner, bytes);
    this.#makeRoom(0);
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

  get #roomBytes(): number {
    return this.#bytesMax - this.#reservedBytes;
  }

  #makeRoom(cost: number): void {
    for (const [other, { length }] of this.#tensors) {
      const hasRoom = this.#bytes + cost <= this.#roomBytes;
      if (hasRoom && this.#tensors.size - this.#pinnedTensors <= this.#looseMax) break;
      if (this.#pins.has(other)) continue;
      this.#tensors.delete(other);
      this.#bytes -= length + ENTRY_BYTES;
      this.#evicted++;
    }
  }

  #count(hash: string, by: 1 | -1): void {
    const before = this.#pins.get(hash) ?? 0;
    const after = before + by;
    if (after === 0) this.#pins.delete(hash);
    else this.#pins.set(hash, after);
    if (before > 0 && after > 0) return;
    const bytes = this.#tensors.get(hash);
    if (bytes === undefined) return;
    this.#pinnedBytes += by * (bytes.length + ENTRY_BYTES);
    this.#pinnedTensors += by;
  }
}
