/** Writes an unsigned LEB128 number; up to 2^53. @returns the place behind it. */
export function putVarint(into: Uint8Array, start: number, value: number): number {
  let rest = value;
  let at = start;
  // Milliseconds since 1970 go past 32 bits, where bit operators end.
  while (rest >= 0x8000_0000) {
    into[at++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  while (rest >= 0x80) {
    into[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  into[at++] = rest;
  return at;
}

/** Bytes that the longest number takes. */
export const VARINT_BYTES_MAX = 8;

/** Reads numbers, texts and bytes one after the other; every read throws when the bytes end too early. */
export class ByteReader {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = at;
  }

  get at(): number {
    return this.#at;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  byte(): number {
    const value = this.#bytes[this.#at++];
    if (value === undefined) throw new Error("record ends too early");
    return value;
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (let digits = 0; digits < VARINT_BYTES_MAX; digits++) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 0x80;
    }
    throw new Error("number in record is too long");
  }

  text(): string {
    const [from, until] = this.#take(this.varint());
    return this.#bytes.toString("utf8", from, until);
  }

  /** A view, not a copy. */
  bytes(): Uint8Array {
    const [from, until] = this.#take(this.varint());
    return this.#bytes.subarray(from, until);
  }

  /** A view of everything that is left. */
  rest(): Uint8Array {
    return this.#bytes.subarray(this.#at);
  }

  #take(length: number): [from: number, until: number] {
    const from = this.#at;
    const until = from + length;
    if (until > this.#bytes.length) throw new Error("record ends too early");
    this.#at = until;
    return [from, until];
  }
}
