import { TrainingError } from "../training-backend.ts";
import type { Address } from "../training-kernels.ts";
import { type WasmMemory, webAssembly } from "./webassembly.ts";

const PAGE = 65_536;
/** What WebAssembly can address with 32 bits. */
const BYTES_MAX = 4_294_901_760;
/** Everything begins at a line of the cache. */
const ALIGNMENT = 64;

interface Region {
  readonly at: Address;
  readonly bytes: number;
}

/**
 * Memory for models, in regions that are taken and given back; the first free one that is large enough is taken. The memory
 * itself only grows, up to a bound.
 */
export class TrainingArena {
  readonly memory: WasmMemory;
  readonly #bytesMax: number;
  /** By address; the first line stays empty, since 0 is nowhere. */
  #free: Region[];
  readonly #taken = new Map<Address, number>();
  #floats: Float32Array;
  #integers: Int32Array;
  /** Bytes taken now. */
  bytes = 0;

  /** @param bytesMax rounded down to pages of 64 KiB */
  constructor(bytesMax: number) {
    if (!Number.isSafeInteger(bytesMax) || bytesMax < PAGE || bytesMax > BYTES_MAX)
      throw new TrainingError(
        "training.memory",
        `memoryBytesMax: from ${PAGE} to ${BYTES_MAX}, not ${bytesMax}`,
      );
    this.#bytesMax = Math.floor(bytesMax / PAGE) * PAGE;
    this.memory = new webAssembly.Memory({ initial: 1, maximum: this.#bytesMax / PAGE });
    this.#free = [{ at: ALIGNMENT, bytes: PAGE - ALIGNMENT }];
    this.#floats = new Float32Array(this.memory.buffer);
    this.#integers = new Int32Array(this.memory.buffer);
  }

  /** The memory as it is now; asked for again after each {@link take}. */
  floats(): Float32Array {
    if (this.#floats.buffer !== this.memory.buffer)
      this.#floats = new Float32Array(this.memory.buffer);
    return this.#floats;
  }

  integers(): Int32Array {
    if (this.#integers.buffer !== this.memory.buffer)
      this.#integers = new Int32Array(this.memory.buffer);
    return this.#integers;
  }

  /** @param what says in the error what it was for @throws TrainingError `training.memory` */
  take(bytes: number, what: string): Address {
    const wanted = Math.max(ALIGNMENT, Math.ceil(bytes / ALIGNMENT) * ALIGNMENT);
    let index = this.#free.findIndex((region) => region.bytes >= wanted);
    if (index < 0) {
      this.#grow(wanted, what);
      index = this.#free.length - 1;
    }
    const region = this.#free[index] as Region;
    const rest = { at: region.at + wanted, bytes: region.bytes - wanted };
    this.#free.splice(index, 1, ...(rest.bytes > 0 ? [rest] : []));
    this.#taken.set(region.at, wanted);
    this.bytes += wanted;
    return region.at;
  }

  /** Does nothing for 0. */
  give(at: Address): void {
    const bytes = this.#taken.get(at);
    if (bytes === undefined) return;
    this.#taken.delete(at);
    this.bytes -= bytes;
    this.#add({ at, bytes });
  }

  #add(region: Region): void {
    const sorted = [...this.#free, region].sort((left, right) => left.at - right.at);
    const joined: Region[] = [];
    for (const next of sorted) {
      const last = joined.at(-1);
      if (last !== undefined && last.at + last.bytes === next.at)
        joined.splice(-1, 1, { at: last.at, bytes: last.bytes + next.bytes });
      else joined.push(next);
    }
    this.#free = joined;
  }

  /** So that the last free region has `wanted` bytes. */
  #grow(wanted: number, what: string): void {
    const end = this.memory.buffer.byteLength;
    const last = this.#free.at(-1);
    const spare = last !== undefined && last.at + last.bytes === end ? last.bytes : 0;
    const pages = Math.ceil((wanted - spare) / PAGE);
    const refuse = (cause?: unknown): never => {
      throw new TrainingError(
        "training.memory",
        `${what} takes ${wanted} bytes, ${this.bytes} are taken and memoryBytesMax is ${this.#bytesMax}; ` +
          "make the model or the batch smaller, or raise it",
        { cause },
      );
    };
    if (end + pages * PAGE > this.#bytesMax) refuse();
    try {
      this.memory.grow(pages);
    } catch (error) {
      refuse(error);
    }
    this.#add({ at: end, bytes: pages * PAGE });
  }
}
