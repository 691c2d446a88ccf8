import { crc32 } from "node:zlib";

const CHECKSUM_BYTES = 4;

/**
 * Values as they lie in LevelDB: the value, then the CRC-32 of key and value. LevelDB 1.20 looks at its own
 * checksums when it replays a log, but not when it reads a table: a flipped bit there would pass for a value.
 */
export function sealValue(key: string, value: Uint8Array): Buffer {
  const sealed = Buffer.allocUnsafe(value.length + CHECKSUM_BYTES);
  sealed.set(value, 0);
  sealed.writeUInt32LE(checksum(key, value), value.length);
  return sealed;
}

/** @returns the value without its checksum, or undefined when key and value do not belong together. */
export function openValue(key: string, sealed: Buffer): Buffer | undefined {
  const length = sealed.length - CHECKSUM_BYTES;
  if (length < 0) return undefined;
  const value = sealed.subarray(0, length);
  return sealed.readUInt32LE(length) === checksum(key, value) ? value : undefined;
}

function checksum(key: string, value: Uint8Array): number {
  return crc32(value, crc32(key));
}
