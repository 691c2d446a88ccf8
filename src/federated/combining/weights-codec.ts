const IS_LITTLE_ENDIAN = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/** @returns float32 values, little-endian, as they travel and as their hash is taken */
export function bytesOfWeights(weights: Float32Array): Uint8Array {
  const bytes = new Uint8Array(weights.buffer, weights.byteOffset, weights.byteLength).slice();
  return IS_LITTLE_ENDIAN ? bytes : swapped(bytes);
}

/** @returns the values, in memory of their own; undefined where the length is not that of so many. NaN passes. */
export function weightsOfBytes(bytes: Uint8Array, count: number): Float32Array | undefined {
  if (bytes.length !== 4 * count) return undefined;
  const copy = bytes.slice();
  return new Float32Array((IS_LITTLE_ENDIAN ? copy : swapped(copy)).buffer);
}

/** @returns the values of bytes that are aligned and of nobody else, in the same memory where this machine's order is that of the wire */
export function weightsInPlace(bytes: Uint8Array<ArrayBuffer>): Float32Array {
  const plain = IS_LITTLE_ENDIAN ? bytes : swapped(bytes);
  return new Float32Array(plain.buffer, plain.byteOffset, plain.length / 4);
}

function swapped(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const result = new Uint8Array(bytes.length);
  for (let at = 0; at < bytes.length; at += 4)
    for (let byte = 0; byte < 4; byte++) result[at + byte] = bytes[at + 3 - byte] ?? 0;
  return result;
}
