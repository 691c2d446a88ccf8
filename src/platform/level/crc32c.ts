/** CRC-32C (Castagnoli, RFC 3720 appendix B.4), reflected. */
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

/** @returns the checksum of the bytes from `begin` to before `end`. */
export function crc32c(bytes: Uint8Array, begin: number, end: number): number {
  let crc = 0xffffffff;
  for (let at = begin; at < end; at++)
    crc = (TABLE[(crc ^ (bytes[at] ?? 0)) & 0xff] ?? 0) ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** LevelDB stores checksums rotated, since checksums of checksums are weak. */
export function masked(crc: number): number {
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
