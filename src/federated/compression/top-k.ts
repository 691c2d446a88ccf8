/** Magnitudes are told apart by their exponent and seven bits behind: within a bin they differ by 0.8 % at most. */
const BINS = 1 << 15;
const BIN_SHIFT = 16;

/**
 * The places of the `k` values of largest magnitude, in one pass by a histogram of their float32 bits and one more to
 * gather them: no sorting. In the bin where the border lies, the first by place are taken.
 *
 * @param values all finite
 * @returns ascending; `k` of them, or all when there are fewer
 */
export function topK(values: Float32Array, k: number): Int32Array {
  const count = Math.min(k, values.length);
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const histogram = new Int32Array(BINS);
  for (let at = 0; at < bits.length; at++) {
    const bin = ((bits[at] as number) & 0x7fffffff) >>> BIN_SHIFT;
    histogram[bin] = (histogram[bin] as number) + 1;
  }
  let border = BINS - 1;
  let above = 0;
  while (border > 0 && above + (histogram[border] as number) < count) {
    above += histogram[border] as number;
    border--;
  }
  const places = new Int32Array(count);
  let ofBorder = count - above;
  let taken = 0;
  for (let at = 0; at < bits.length && taken < count; at++) {
    const bin = ((bits[at] as number) & 0x7fffffff) >>> BIN_SHIFT;
    if (bin < border) continue;
    if (bin === border && --ofBorder < 0) continue;
    places[taken++] = at;
  }
  return places;
}
