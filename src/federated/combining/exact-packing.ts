import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { letGo } from "./let-go.ts";
import { bytesOfWeights, weightsInPlace, weightsOfBytes } from "./weights-codec.ts";

/** Higher levels find no more in numbers, and take ten times as long. */
const LEVEL = { [constants.ZSTD_c_compressionLevel]: 1 };
/** Node.js takes what is at most half as large as its pool from there, and others share it. */
const UNPOOLED_BYTES = (Buffer.poolSize >>> 1) + 1;

/**
 * Float32 values as they travel where nobody asked for compression, so that not one bit is lost: first bytes of all values, then all
 * second ones, and so on, in one zstd frame (RFC 8878). Exponents are much alike, and the difference of two numbers of one size ends in
 * zeros, so an update of a perceptron takes two thirds of its size. What does not get shorter travels as it is: a reader tells them
 * apart by their length.
 */
export function packExactly(values: Float32Array): Uint8Array {
  const plain = bytesOfWeights(values);
  const count = values.length;
  const planes = new Uint8Array(plain.length);
  for (let at = 0, from = 0; at < count; at++, from += 4) {
    planes[at] = plain[from] as number;
    planes[count + at] = plain[from + 1] as number;
    planes[2 * count + at] = plain[from + 2] as number;
    planes[3 * count + at] = plain[from + 3] as number;
  }
  const chunkSize = planes.length + UNPOOLED_BYTES;
  const packed = zstdCompressSync(planes, { params: LEVEL, chunkSize });
  letGo(planes);
  return packed.length < plain.length ? takenOver(packed) : plain;
}

/**
 * Undoes {@link packExactly}. No more is reserved than the values take.
 * @returns undefined where it is not of so many values. NaN passes.
 */
export function unpackExactly(bytes: Uint8Array, count: number): Float32Array | undefined {
  const length = 4 * count;
  if (bytes.length >= length) return weightsOfBytes(bytes, count);
  let planes: Uint8Array;
  try {
    const chunkSize = length + UNPOOLED_BYTES;
    planes = takenOver(
      zstdDecompressSync(bytes, { maxOutputLength: Math.max(1, length), chunkSize }),
    );
  } catch {
    // Whoever sent it is to blame, and what exactly is wrong with it helps nobody.
    return undefined;
  }
  if (planes.length !== length) return undefined;
  const plain = new Uint8Array(length);
  for (let at = 0, to = 0; at < count; at++, to += 4) {
    plain[to] = planes[at] as number;
    plain[to + 1] = planes[count + at] as number;
    plain[to + 2] = planes[2 * count + at] as number;
    plain[to + 3] = planes[3 * count + at] as number;
  }
  letGo(planes);
  return weightsInPlace(plain);
}

/** Takes the memory away from Node's engine, which only a full collection finds (docs/decisions/memory.md). */
function takenOver(result: Buffer): Uint8Array {
  const { buffer, byteOffset, length } = result;
  const owned = buffer instanceof ArrayBuffer && byteOffset === 0;
  return owned ? new Uint8Array(buffer.transfer(length)) : Uint8Array.from(result);
}
