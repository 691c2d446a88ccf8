import {
  BLOCK_LENGTH,
  lengthOfRows,
  squaredDistance,
  sumIsExact,
  type VectorBlock,
  type VectorMath,
} from "../vector-math.ts";
import {
  AggregationMemory,
  addressOf,
  JOB_BLOCKS_MAX,
  SLOTS_BYTES,
  STAGING_BYTES,
  stagedBytes,
  THREADS_MAX,
} from "./aggregation-memory.ts";
import { AggregationPool, type Job } from "./aggregation-pool.ts";
import { sortingNetwork } from "./vector-sorting-network.ts";

/** Values below which other threads are not woken. */
const ALONE_VALUES = 65_536;
/** Staged at one time where it is enough for all threads: what the second cache keeps between copy and use. */
const STAGED_BYTES = 2 ** 21;
/** Blocks of a weighted sum that one thread takes at a time, where there are enough for all: long rows are fetched ahead, short ones are not. */
const SUMMED_BLOCKS_MAX = 4;

/** How a {@link SimdVectorMath} is made. */
export interface SimdVectorMathOptions {
  /** Threads that compute, the calling one included: 1 to 16. */
  readonly threads?: number;
  /** Bound on what `allocate` gives at one time, up to 1.9 GB. Another 40 MB are reserved for work and used as far as needed. */
  readonly bytesMax?: number;
}

/** What of the coordinates one job is about. */
interface Slab {
  readonly from: number;
  readonly length: number;
  readonly blocks: number;
}

/**
 * {@link VectorMath} by WebAssembly with 128-bit SIMD over threads that share a memory. Rows that were allocated here are used
 * where they are; others are copied in pieces, so that no row is too long.
 */
export class SimdVectorMath implements VectorMath {
  readonly name: string;
  readonly #memory: AggregationMemory;
  readonly #pool: AggregationPool;
  readonly #bytesMax: number;
  #network: { readonly key: string; readonly comparators: number } | undefined;

  /** @throws RangeError for options out of their range */
  constructor({ threads = 1, bytesMax = 2 ** 28 }: SimdVectorMathOptions = {}) {
    if (!Number.isInteger(threads) || threads < 1 || threads > THREADS_MAX)
      throw new RangeError(
        `threads is ${threads}; it has to be a whole number from 1 to ${THREADS_MAX}`,
      );
    if (!(bytesMax >= 0 && bytesMax <= 1.9e9))
      throw new RangeError(`bytesMax is ${bytesMax}; it has to be from 0 to 1.9e9`);
    this.name = `simd, ${threads} thread${threads === 1 ? "" : "s"}`;
    this.#bytesMax = bytesMax;
    this.#memory = new AggregationMemory(bytesMax);
    this.#pool = new AggregationPool(threads, this.#memory);
  }

  allocate(count: number, length: number): VectorBlock {
    // Each row on a line of the cache of its own.
    const pitch = Math.ceil((4 * length) / 64) * 64;
    const part = this.#memory.allocate(count * pitch);
    if (part === undefined)
      throw new RangeError(
        `${count} vectors of ${length} values do not fit into what is left of ${this.#bytesMax} bytes (bytesMax)`,
      );
    const { buffer } = this.#memory.memory;
    new Uint8Array(buffer, part.address, part.size).fill(0);
    let held = true;
    return {
      vectors: Array.from(
        { length: count },
        (_, index) => new Float32Array(buffer, part.address + index * pitch, length),
      ),
      dispose: () => {
        if (held) this.#memory.release(part);
        held = false;
      },
    };
  }

  firstNotFinite(rows: readonly Float32Array[]): number {
    const flags = this.#int32(addressOf.result, rows.length);
    flags.fill(0);
    for (const slab of this.#slabs(rows)) this.#run("finite", rows, slab);
    return flags.findIndex((flag) => flag !== 0);
  }

  weightedSum(
    rows: readonly Float32Array[],
    factors: readonly number[],
    into?: Float32Array,
  ): Float32Array {
    const length = lengthOfRows(rows);
    if (factors.length !== rows.length)
      throw new RangeError(`${factors.length} factors for ${rows.length} rows`);
    if (into !== undefined && into.length !== length)
      throw new RangeError(
        `the result has room for ${into.length} values where rows have ${length}`,
      );
    this.#float64(addressOf.factors, rows.length).set(factors);
    return this.#each("sum", rows, {}, into);
  }

  squaredDistances(rows: readonly Float32Array[]): readonly Float64Array[] {
    const count = rows.length;
    const pitch = count + 4;
    const totals = new Float64Array((count + 1) * pitch);
    this.#distances("distances", rows, totals);
    const distances = rows.map(() => new Float64Array(count));
    for (const [i, row] of distances.entries())
      for (const [j, other] of distances.entries()) {
        if (j <= i) continue;
        let total = totals[i * pitch + j] ?? 0;
        const [x, y] = [rows[i], rows[j]];
        if (!sumIsExact(total) && x !== undefined && y !== undefined) total = squaredDistance(x, y);
        row[j] = total;
        other[i] = total;
      }
    return distances;
  }

  squaredDistancesTo(rows: readonly Float32Array[], point: Float32Array): Float64Array {
    lengthOfRows([point, ...rows.slice(0, 1)]);
    const totals = new Float64Array(rows.length);
    this.#distances("distances-to", rows, totals, point);
    return totals.map((total, index) => {
      const row = rows[index];
      return sumIsExact(total) || row === undefined ? total : squaredDistance(row, point);
    });
  }

  median(rows: readonly Float32Array[]): Float32Array {
    const count = rows.length;
    return this.#each("median", rows, this.#sorting(count, (count - 1) >> 1, (count >> 1) + 1));
  }

  trimmedMean(rows: readonly Float32Array[], trim: number): Float32Array {
    if (!Number.isInteger(trim) || trim < 0 || 2 * trim >= rows.length)
      throw new RangeError(`trimming ${trim} at both ends leaves none of ${rows.length} rows`);
    const sorting = this.#sorting(rows.length, trim, rows.length - trim);
    return this.#each("trimmed", rows, { ...sorting, count: trim });
  }

  meanAroundMedian(rows: readonly Float32Array[], keep: number): Float32Array {
    if (!Number.isInteger(keep) || keep < 1 || keep > rows.length)
      throw new RangeError(`${keep} of ${rows.length} rows can not be kept`);
    return this.#each("around", rows, {
      ...this.#sorting(rows.length, 0, rows.length),
      count: keep,
    });
  }

  async dispose(): Promise<void> {
    await this.#pool.dispose();
  }

  /** Coordinate by coordinate: one value for each. */
  #each(
    kind: Job["kind"],
    rows: readonly Float32Array[],
    parameters: Partial<Job>,
    into: Float32Array = new Float32Array(lengthOfRows(rows)),
  ): Float32Array {
    for (const slab of this.#slabs(rows)) {
      this.#run(kind, rows, slab, parameters);
      into.set(this.#float32(addressOf.result, slab.length), slab.from);
    }
    return into;
  }

  /** Sums what the blocks found in their order, whoever found it. */
  #distances(
    kind: "distances" | "distances-to",
    rows: readonly Float32Array[],
    totals: Float64Array,
    point?: Float32Array,
  ): void {
    const slotBytes = totals.byteLength;
    for (const slab of this.#slabs(rows, Math.floor(SLOTS_BYTES / slotBytes), point)) {
      this.#run(kind, rows, slab, { slotBytes }, point);
      for (let block = 0; block < slab.blocks; block++) {
        const found = this.#float64(addressOf.slots + block * slotBytes, totals.length);
        for (let at = 0; at < totals.length; at++)
          totals[at] = (totals[at] ?? 0) + (found[at] ?? 0);
      }
    }
  }

  /** Cuts the coordinates into as many blocks at a time as there is room for. */
  *#slabs(
    rows: readonly Float32Array[],
    blocksMax = JOB_BLOCKS_MAX,
    point?: Float32Array,
  ): Generator<Slab> {
    const length = lengthOfRows(rows);
    let most = Math.min(blocksMax, JOB_BLOCKS_MAX);
    const elsewhere = this.#elsewhere(rows, point);
    if (elsewhere > 0) {
      const wanted = Math.floor(STAGED_BYTES / stagedBytes(elsewhere, 1));
      const room = Math.floor(STAGING_BYTES / stagedBytes(elsewhere, 1));
      most = Math.min(most, Math.max(wanted, Math.min(room, 2 * this.#pool.threads)));
    }
    for (let from = 0; from < length; from += most * BLOCK_LENGTH) {
      const count = Math.min(length - from, most * BLOCK_LENGTH);
      yield { from, length: count, blocks: Math.ceil(count / BLOCK_LENGTH) };
    }
  }

  #elsewhere(rows: readonly Float32Array[], point?: Float32Array): number {
    const all = point === undefined ? rows : [...rows, point];
    return all.filter((row) => this.#memory.addressOf(row) === undefined).length;
  }

  #run(
    kind: Job["kind"],
    rows: readonly Float32Array[],
    slab: Slab,
    parameters: Partial<Job> = {},
    point?: Float32Array,
  ): void {
    const table = this.#int32(addressOf.table, rows.length + 8);
    let staged: number = addressOf.staging;
    const place = (row: Float32Array): number => {
      const here = this.#memory.addressOf(row);
      if (here !== undefined) return here + 4 * slab.from;
      const address = staged;
      this.#float32(address, slab.length).set(row.subarray(slab.from, slab.from + slab.length));
      staged += stagedBytes(1, slab.blocks);
      return address;
    };
    let last = 0;
    for (const [index, row] of rows.entries()) {
      last = place(row);
      table[index] = last;
    }
    // Kernels take rows by fours and eights.
    table.fill(last, rows.length);
    const together = kind === "sum" ? this.#together(slab) : 1;
    const job: Job = {
      kind,
      rows: rows.length,
      length: slab.length,
      blocks: Math.ceil(slab.blocks / together),
      blockLength: together * BLOCK_LENGTH,
      ...parameters,
      ...(point === undefined ? {} : { point: place(point) }),
    };
    this.#pool.run(job, rows.length * slab.length < ALONE_VALUES);
  }

  /** Blocks that a thread takes as one, so that each thread still has its turn four times. */
  #together({ blocks }: Slab): number {
    const share = Math.floor(blocks / (4 * this.#pool.threads));
    return Math.max(1, Math.min(share, SUMMED_BLOCKS_MAX));
  }

  /** Puts the comparators into the memory unless they are there. */
  #sorting(count: number, from: number, until: number): { readonly comparators: number } {
    const key = `${count} ${from} ${until}`;
    if (this.#network?.key !== key) {
      const network = sortingNetwork(count, from, until);
      this.#int32(addressOf.network, network.length).set(network);
      this.#network = { key, comparators: network.length };
    }
    return { comparators: this.#network.comparators };
  }

  #int32(address: number, length: number): Int32Array {
    return new Int32Array(this.#memory.memory.buffer, address, length);
  }

  #float32(address: number, length: number): Float32Array {
    return new Float32Array(this.#memory.memory.buffer, address, length);
  }

  #float64(address: number, length: number): Float64Array {
    return new Float64Array(this.#memory.memory.buffer, address, length);
  }
}
