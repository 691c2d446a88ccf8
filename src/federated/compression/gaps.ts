import { CompressionError } from "./compression-error.ts";

/** @returns ascending places as the gaps between them, each in groups of seven bits, the low ones first */
export function encodeGaps(places: Int32Array): Uint8Array {
  const bytes = new Uint8Array(5 * places.length);
  let length = 0;
  let next = 0;
  for (const place of places) {
    let gap = place - next;
    while (gap >= 0x80) {
      bytes[length++] = (gap & 0x7f) | 0x80;
      gap >>>= 7;
    }
    bytes[length++] = gap;
    next = place + 1;
  }
  return bytes.slice(0, length);
}

/**
 * Undoes {@link encodeGaps}.
 * @param among every place is below
 * @returns the places, and how many bytes they took
 * @throws CompressionError when they end early or reach too far
 */
export function decodeGaps(
  bytes: Uint8Array,
  count: number,
  among: number,
): { readonly places: Int32Array; readonly length: number } {
  // Each takes a byte at least, so that nobody makes us reserve what is not there.
  if (count > bytes.length)
    throw new CompressionError("compression.damaged", `${count} places do not fit into the bytes`);
  const places = new Int32Array(count);
  let length = 0;
  let next = 0;
  for (let at = 0; at < count; at++) {
    let gap = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[length++];
      if (byte === undefined || shift > 28)
        throw new CompressionError("compression.damaged", `place ${at} is cut off`);
      gap += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    const place = next + gap;
    if (place >= among)
      throw new CompressionError("compression.damaged", `place ${place} of ${among} values`);
    places[at] = place;
    next = place + 1;
  }
  return { places, length };
}
