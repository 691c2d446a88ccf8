/** The most vectors that one call takes. */
export const ROWS_MAX = 1_024;

/** Vectors of one length that live where a {@link VectorMath} computes, so that it need not copy them first. */
export interface VectorBlock {
  /** Zeros at first. Write each update into one of them as it arrives. */
  readonly vectors: readonly Float32Array[];
  /** Gives the space back; the vectors must not be touched afterwards. */
  dispose(): void;
}

/**
 * The hot loops of aggregation over `rows`: one to {@link ROWS_MAX} vectors of one length, all of their values finite.
 *
 * **Every implementation gives the same bits**, with any number of threads, on any processor: float32 values, sums in float64
 * in the order of the rows, blocks of a fixed number of coordinates, no fused multiply-add. A result of zero is +0. Calls are synchronous
 * and may be long; whoever must stay responsive makes them in a worker.
 *
 * @throws RangeError in every call for no rows, too many, rows of several lengths, or counts that do not fit
 */
export interface VectorMath {
  readonly name: string;
  /**
   * @returns room for `count` vectors of `length` values
   * @throws RangeError when that is more than the implementation's named bound has left
   */
  allocate(count: number, length: number): VectorBlock;
  /** @returns the index of the first row that holds NaN or an infinity; -1 when none does. The one call that takes them. */
  firstNotFinite(rows: readonly Float32Array[]): number;
  /**
   * Σ factors[k] · rows[k], coordinate by coordinate, in float64 and rounded once.
   * @param into where it is written, as long as a row; it may be one of the rows
   */
  weightedSum(
    rows: readonly Float32Array[],
    factors: readonly number[],
    into?: Float32Array,
  ): Float32Array;
  /**
   * ‖rows[i] − rows[j]‖² for all pairs, as one array a row. The relative error is at most 4e-6 whatever the rows are: models
   * which are almost equal keep their distance, and only equal rows are at zero.
   */
  squaredDistances(rows: readonly Float32Array[]): readonly Float64Array[];
  /** ‖rows[k] − point‖² for each row, as exact as {@link squaredDistances}. */
  squaredDistancesTo(rows: readonly Float32Array[], point: Float32Array): Float64Array;
  /** The middle value of each coordinate, the mean of the two middle ones for an even number of rows. */
  median(rows: readonly Float32Array[]): Float32Array;
  /** The mean of each coordinate without its `trim` least and `trim` greatest values; `2 · trim < rows.length`. */
  trimmedMean(rows: readonly Float32Array[], trim: number): Float32Array;
  /** The mean of the `keep` values of each coordinate that are nearest to its median; the smaller one first where two are as near. */
  meanAroundMedian(rows: readonly Float32Array[], keep: number): Float32Array;
  /** Ends its threads and gives its memory back; no call may follow. */
  dispose(): Promise<void>;
}

/** Coordinates whose distances are summed for themselves before they are added to those of the blocks before. */
export const BLOCK_LENGTH = 2_048;
/** Coordinates within a block whose squares are summed in float32, in four lanes, before they are added in float64. */
export const CHUNK_LENGTH = 128;
/** As {@link CHUNK_LENGTH}, of products. */
export const PRODUCT_CHUNK_LENGTH = 64;
/**
 * Distances of a block come from products, ‖x‖² + ‖y‖² − 2xy of rows less a point in their middle, where ‖x‖² + ‖y‖² is at most
 * so many times the distance; from differences elsewhere.
 *
 * The error, in units of u = 2⁻²⁴: each of the three sums is made with 18 roundings in float32, that of a product, those of
 * 15 additions and two more where lanes are added. Its error is at most 18u Σ|xy|, so that of all is at most
 * 18u Σ(|x| + |y|)² ≤ 36u (‖x‖² + ‖y‖²) ≤ 63u times the distance. That rows are rounded when they are moved changes it by
 * 2√3.5 u ≤ 3.8u more. 67u is less than 4e-6.
 */
export const PRODUCT_SHARE_MAX = 1.75;
/** Below this, squares that left the range of normal float32 may be missing from a sum. */
const SUM_MIN = 2 ** -80;

/**
 * What every implementation does with its rows first.
 * @returns how long the rows are
 * @throws RangeError for no rows, more than {@link ROWS_MAX}, or rows of several lengths
 */
export function lengthOfRows(rows: readonly Float32Array[]): number {
  const length = rows[0]?.length;
  if (length === undefined) throw new RangeError("there are no rows");
  if (rows.length > ROWS_MAX)
    throw new RangeError(`${rows.length} rows are more than ${ROWS_MAX} (ROWS_MAX)`);
  for (const [index, row] of rows.entries())
    if (row.length !== length)
      throw new RangeError(`row ${index} has ${row.length} values where the first has ${length}`);
  return length;
}

/**
 * Whether squares summed in float32 can be trusted: none of them was too large for it, and what was too small does not count.
 * Otherwise {@link squaredDistance} has to do it.
 */
export function sumIsExact(sum: number): boolean {
  return sum === 0 || (sum >= SUM_MIN && sum < Number.POSITIVE_INFINITY);
}

/**
 * ‖x − y‖² in float64 throughout, for rows so far from or so near to each other that their squares do not fit into float32;
 * the same bits from every implementation, as it is this one.
 */
export function squaredDistance(x: Float32Array, y: Float32Array): number {
  let sum = 0;
  for (let at = 0; at < x.length; at++) {
    const difference = (x[at] ?? 0) - (y[at] ?? 0);
    sum += difference * difference;
  }
  return sum;
}
