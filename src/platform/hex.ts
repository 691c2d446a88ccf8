const DIGITS = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** @returns two hexadecimal digits for each byte, in lower case */
export function toHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += DIGITS[byte] ?? "";
  return text;
}

/** @returns the bytes that the digits stand for @param digits as {@link toHex} makes them */
export function fromHex(digits: string): Uint8Array {
  const bytes = new Uint8Array(digits.length >> 1);
  putHex(bytes, 0, digits);
  return bytes;
}

/** Writes hexadecimal digits, as {@link toHex} makes them, as bytes into a place that has room for them. */
export function putHex(bytes: Uint8Array, at: number, digits: string): void {
  for (let digit = 0; digit < digits.length; digit += 2)
    bytes[at + (digit >> 1)] =
      (nibble(digits.charCodeAt(digit)) << 4) | nibble(digits.charCodeAt(digit + 1));
}

function nibble(code: number): number {
  return code < 58 ? code - 48 : code - 87;
}
