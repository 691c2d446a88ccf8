import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";

const LEVEL = { [constants.ZSTD_c_compressionLevel]: 1 };
/** Node.js takes what is at most half as large as its pool from there, and others share it. */
const UNPOOLED_BYTES = (Buffer.poolSize >>> 1) + 1;

/** @returns the bytes as a zstd frame (RFC 8878), in memory of their own. */
export function deflate(bytes: Uint8Array): Buffer {
  return takenOver(
    zstdCompressSync(bytes, { params: LEVEL, chunkSize: bytes.length + UNPOOLED_BYTES }),
  );
}

/** @param length of what was compressed @throws Error when it is more, or no frame at all */
export function inflate(bytes: Uint8Array, length: number): Buffer {
  const maxOutputLength = Math.max(1, length);
  return takenOver(
    zstdDecompressSync(bytes, { maxOutputLength, chunkSize: length + UNPOOLED_BYTES }),
  );
}

/**
 * Node.js makes an engine for every call, which only a full collection finds again, with the memory that it wrote to:
 * tens of megabytes while a backlog is sent. So that memory is taken away from it.
 */
function takenOver(result: Buffer): Buffer {
  const { buffer, byteOffset, length } = result;
  // What it wrote in several pieces was put together elsewhere.
  const owned = buffer instanceof ArrayBuffer && byteOffset === 0;
  return owned ? Buffer.from(buffer.transfer(length)) : result;
}
