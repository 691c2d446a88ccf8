/** A safe integer has 53 bits. */
export const VARINT_BYTES_MAX = 8;

/**
 * Reads an LEB128 number of up to 53 bits, by arithmetic, and moves the cursor behind it.
 * @returns undefined when there is none, or it is greater
 */
export function readVarint(data: Uint8Array, cursor: { at: number }): number | undefined {
  let value = 0;
  let weight = 1;
  for (let count = 0; count < VARINT_BYTES_MAX; count++, weight *= 0x80) {
    const byte = data[cursor.at++];
    if (byte === undefined) return undefined;
    value += (byte & 0x7f) * weight;
    if (byte < 0x80) return Number.isSafeInteger(value) ? value : undefined;
  }
  return undefined;
}
