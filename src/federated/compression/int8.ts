import type { Random } from "../../platform/random.ts";
import { CompressionError } from "./compression-error.ts";

/** Values that share a scale. */
const BLOCK = 1024;
const STEPS = 127;

/** @returns bytes that {@link quantize} makes of so many values */
export function quantizedBytes(count: number): number {
  return 4 * Math.ceil(count / BLOCK) + count;
}

/**
 * Eight bits for each value: a block of 1,024 has a float32 scale, its largest magnitude by 127. Scales come first, then
 * the values as signed bytes.
 *
 * @param values all finite
 * @param random with it, a value is rounded up or down by chance so that its mean stays what it is (stochastic rounding,
 *   Alistarh et al. 2017); without, to the nearest
 */
export function quantize(values: Float32Array, random?: Random): Uint8Array {
  const bytes = new Uint8Array(quantizedBytes(values.length));
  const view = new DataView(bytes.buffer);
  const integers = new Int8Array(bytes.buffer, 4 * Math.ceil(values.length / BLOCK));
  for (let start = 0; start < values.length; start += BLOCK) {
    const end = Math.min(values.length, start + BLOCK);
    const scale = scaleOf(values, start, end);
    view.setFloat32((4 * start) / BLOCK, scale, true);
    // So small that the scale vanishes: so do they.
    if (scale === 0) continue;
    if (random === undefined) toNearest(values, integers, scale, start, end);
    else
      for (let at = start; at < end; at++) {
        const steps = Math.floor((values[at] as number) / scale + random.next());
        integers[at] = steps > STEPS ? STEPS : steps < -STEPS ? -STEPS : steps;
      }
  }
  return bytes;
}

/** Halves away from zero; by magnitude and sign, since a branch on the sign would be guessed wrong for half of the values. */
function toNearest(
  values: Float32Array,
  integers: Int8Array,
  scale: number,
  start: number,
  end: number,
): void {
  const bits = new Int32Array(values.buffer, values.byteOffset, values.length);
  for (let at = start; at < end; at++) {
    const steps = Math.min((Math.abs((values[at] as number) / scale) + 0.5) | 0, STEPS);
    // -1 below zero: flips the bits, and subtracted it adds the one that is missing.
    const sign = (bits[at] as number) >> 31;
    integers[at] = (steps ^ sign) - sign;
  }
}

function scaleOf(values: Float32Array, start: number, end: number): number {
  let largest = 0;
  for (let at = start; at < end; at++) largest = Math.max(largest, Math.abs(values[at] as number));
  const scale = Math.fround(largest / STEPS);
  // At the end of float32's range a scale that was rounded up would bring back infinities.
  return Number.isFinite(Math.fround(scale * STEPS)) ? scale : Math.fround(scale * (1 - 2 ** -23));
}

/** Undoes {@link quantize}. @throws CompressionError for a scale that can not be, or another length */
export function dequantize(bytes: Uint8Array, count: number): Float32Array {
  if (bytes.length !== quantizedBytes(count))
    throw new CompressionError(
      "compression.damaged",
      `${count} values take ${quantizedBytes(count)} bytes, not ${bytes.length}`,
    );
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const from = 4 * Math.ceil(count / BLOCK);
  const values = new Float32Array(count);
  for (let block = 0; block * BLOCK < count; block++) {
    const scale = view.getFloat32(4 * block, true);
    if (!(scale >= 0 && Number.isFinite(Math.fround(scale * STEPS))))
      throw new CompressionError("compression.damaged", `block ${block} has a scale of ${scale}`);
    const end = Math.min(count, (block + 1) * BLOCK);
    for (let at = block * BLOCK; at < end; at++) values[at] = view.getInt8(from + at) * scale;
  }
  return values;
}
