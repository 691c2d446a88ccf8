import { BLOCK_LENGTH } from "../vector-math.ts";
import { type SharedMemory, webAssembly } from "./webassembly.ts";

/** The most threads of one pool, the caller's included. */
export const THREADS_MAX = 16;
/** Coordinates whose results one job makes. */
export const JOB_BLOCKS_MAX = 128;

const KIB = 1_024;
const PAGE = 64 * KIB;
/** What the kernels were compiled for: 2 GiB. */
const PAGES_MAX = 32_768;
/** Kernels read whole vectors, up to 60 bytes beyond the end of a row. */
const PADDING = 64;
/** A thread's own: a chunk of the rows and of four more, and a flag for each row, are the most that a kernel wants. */
const SCRATCH_BYTES = 272 * KIB;

/** Where threads meet; `kernels/aggregation/job.ts` says the same. In bytes. */
export const addressOf = {
  ticket: 64,
  done: 72,
  wake: 128,
  stop: 132,
  job: 192,
  table: 1 * KIB,
  factors: 8 * KIB,
  network: 32 * KIB,
  scratch: 128 * KIB,
  result: 128 * KIB + THREADS_MAX * SCRATCH_BYTES,
  slots: 5_632 * KIB,
  staging: 23_040 * KIB,
  vectors: 39_424 * KIB,
} as const;

/** Room for what blocks of a job have found out about distances. */
export const SLOTS_BYTES = addressOf.staging - addressOf.slots;
/** Room for pieces of rows that lie elsewhere. */
export const STAGING_BYTES = addressOf.vectors - addressOf.staging;

/** The memory that all threads of a pool share, and who has which part of it. */
export class AggregationMemory {
  readonly memory: SharedMemory;
  readonly #bytesMax: number;
  /** Growing makes a new buffer of the same memory; views of the older ones stay valid. */
  readonly #buffers = new WeakSet<object>();
  /** Free parts above `addressOf.vectors`, by address; no two of them touch. */
  #free: { readonly from: number; readonly until: number }[] = [];
  #end: number = addressOf.vectors;

  /** @param bytesMax bound on the vectors that are allocated at one time */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
    this.memory = new webAssembly.Memory({
      initial: pages(addressOf.vectors) + 1,
      maximum: Math.min(PAGES_MAX, pages(addressOf.vectors + bytesMax) + 1),
      shared: true,
    });
    this.#buffers.add(this.memory.buffer);
  }

  /** @returns where a row lies in this memory; undefined when it lies elsewhere. */
  addressOf(row: Float32Array): number | undefined {
    return this.#buffers.has(row.buffer) ? row.byteOffset : undefined;
  }

  /** @returns address of so many bytes, or undefined when the bound leaves no room */
  allocate(bytes: number): { readonly address: number; readonly size: number } | undefined {
    const size = Math.ceil((bytes + PADDING) / 64) * 64;
    const fitting = this.#free.findIndex(({ from, until }) => until - from >= size);
    const hole = this.#free[fitting];
    if (hole !== undefined) {
      const rest = { from: hole.from + size, until: hole.until };
      this.#free.splice(fitting, 1, ...(rest.from < rest.until ? [rest] : []));
      return { address: hole.from, size };
    }
    if (this.#end + size > addressOf.vectors + this.#bytesMax) return undefined;
    const missing = Math.ceil((this.#end + size + PAGE - this.memory.buffer.byteLength) / PAGE);
    if (missing > 0) {
      try {
        this.memory.grow(missing);
      } catch {
        return undefined;
      }
      this.#buffers.add(this.memory.buffer);
    }
    const address = this.#end;
    this.#end += size;
    return { address, size };
  }

  /** Gives back what {@link allocate} gave. */
  release({ address, size }: { readonly address: number; readonly size: number }): void {
    const parts = [...this.#free, { from: address, until: address + size }];
    parts.sort((a, b) => a.from - b.from);
    this.#free = [];
    for (const part of parts) {
      const last = this.#free.at(-1);
      if (last?.until === part.from)
        this.#free.splice(-1, 1, { from: last.from, until: part.until });
      else this.#free.push(part);
    }
    const last = this.#free.at(-1);
    if (last?.until !== this.#end) return;
    this.#free.pop();
    this.#end = last.from;
  }
}

/** Bytes that a block of so many rows takes in the staging area, each row with its padding. */
export function stagedBytes(rows: number, blocks: number): number {
  return rows * (blocks * BLOCK_LENGTH * 4 + PADDING);
}

/** Where a thread has what is its own. */
export function scratchOf(thread: number): number {
  return addressOf.scratch + thread * SCRATCH_BYTES;
}

function pages(bytes: number): number {
  return Math.ceil(bytes / PAGE);
}
