/** @returns how many bytes a number below 2³² takes as a varint of protobuf */
export function varintBytes(value: number): number {
  let bytes = 1;
  for (let left = value; left > 0x7f; left >>>= 7) bytes++;
  return bytes;
}

/** Writes a number below 2³² as a varint. @returns one past its last byte */
export function putVarint(into: Uint8Array, start: number, value: number): number {
  let at = start;
  let left = value;
  for (; left > 0x7f; left >>>= 7) into[at++] = (left & 0x7f) | 0x80;
  into[at++] = left;
  return at;
}
