/** A matrix row by row within a larger array. */
export interface Rows {
  readonly data: Float32Array;
  /** Where the first row begins. */
  readonly offset: number;
  readonly columns: number;
}

/** Which rows are added up, and how much of each: the first `count` of both. */
export interface Terms {
  readonly rows: Int32Array;
  readonly factors: Float64Array;
  count: number;
}

/**
 * `sum[j] += factor * row[j]` over all terms, four rows at a time. Whoever leaves out factors of zero, as half of what
 * follows a ReLU and most of a picture of a digit are, saves the work on them.
 */
export function addRows({ data, offset, columns }: Rows, terms: Terms, sum: Float64Array): void {
  const { rows, factors, count } = terms;
  const fours = count - (count % 4);
  let term = 0;
  for (; term < fours; term += 4) {
    const a = factors[term] ?? 0;
    const b = factors[term + 1] ?? 0;
    const c = factors[term + 2] ?? 0;
    const d = factors[term + 3] ?? 0;
    const rowA = offset + (rows[term] ?? 0) * columns;
    const rowB = offset + (rows[term + 1] ?? 0) * columns;
    const rowC = offset + (rows[term + 2] ?? 0) * columns;
    const rowD = offset + (rows[term + 3] ?? 0) * columns;
    for (let j = 0; j < columns; j++)
      sum[j] =
        (sum[j] as number) +
        (a * (data[rowA + j] as number) + b * (data[rowB + j] as number)) +
        (c * (data[rowC + j] as number) + d * (data[rowD + j] as number));
  }
  for (; term < count; term++) {
    const factor = factors[term] ?? 0;
    const row = offset + (rows[term] ?? 0) * columns;
    for (let j = 0; j < columns; j++)
      sum[j] = (sum[j] as number) + factor * (data[row + j] as number);
  }
}

/** @returns the inner product of `length` numbers, in double precision */
export function dot(
  one: Float32Array,
  oneOffset: number,
  other: Float32Array,
  otherOffset: number,
  length: number,
): number {
  const fours = length - (length % 4);
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let j = 0;
  for (; j < fours; j += 4) {
    const at = oneOffset + j;
    const beside = otherOffset + j;
    a += (one[at] as number) * (other[beside] as number);
    b += (one[at + 1] as number) * (other[beside + 1] as number);
    c += (one[at + 2] as number) * (other[beside + 2] as number);
    d += (one[at + 3] as number) * (other[beside + 3] as number);
  }
  for (; j < length; j++) a += (one[oneOffset + j] as number) * (other[otherOffset + j] as number);
  return a + b + (c + d);
}
