/** Digests and comparisons that must not tell by their timing how much of a guess was right. */
export interface Hasher {
  /** @returns SHA-256 (FIPS 180-4) of the bytes, or of the text's UTF-8 form, as 64 hexadecimal digits. */
  sha256Hex(data: string | Uint8Array): string;
  /** Compares two digests in a time that depends on their length alone. */
  equal(left: string, right: string): boolean;
}
