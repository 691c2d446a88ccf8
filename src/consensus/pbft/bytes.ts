import { putHex, toHex } from "../../platform/hex.ts";

/** Digests are hexadecimal in memory, where they are compared and looked up, and bytes on the wire. */
export const DIGEST_BYTES = 32;

const HIGH = 2 ** 32;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** @returns whether both hold the same */
export function areSameBytes(left: Uint8Array, right: Uint8Array): boolean {
  if (left.length !== right.length) return false;
  for (let at = 0; at < left.length; at++) if (left[at] !== right[at]) return false;
  return true;
}

/** Writes the fields of a message one after the other, numbers big-endian. */
export class ByteWriter {
  #bytes: Uint8Array;
  #length = 0;

  constructor(bytesExpected = 256) {
    this.#bytes = new Uint8Array(bytesExpected);
  }

  get length(): number {
    return this.#length;
  }

  u8(value: number): this {
    this.#grow(1);
    this.#bytes[this.#length++] = value;
    return this;
  }

  u16(value: number): this {
    return this.u8(value >>> 8).u8(value & 0xff);
  }

  u32(value: number): this {
    return this.u16(value >>> 16).u16(value & 0xffff);
  }

  /** A safe whole number, in eight bytes. */
  u53(value: number): this {
    return this.u32(Math.floor(value / HIGH)).u32(value % HIGH);
  }

  digest(hex: string): this {
    this.#grow(DIGEST_BYTES);
    putHex(this.#bytes, this.#length, hex);
    this.#length += DIGEST_BYTES;
    return this;
  }

  /** With nothing that tells the length. */
  raw(bytes: Uint8Array): this {
    this.#grow(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  sized(bytes: Uint8Array): this {
    return this.u32(bytes.length).raw(bytes);
  }

  text(text: string): this {
    return this.sized(encoder.encode(text));
  }

  /** What was written so far. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #grow(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

/** Bytes that end too early, or say something that can not be. Only ever seen inside of a decoder. */
export class MalformedError extends Error {
  override readonly name = "MalformedError";
}

/** Reads what {@link ByteWriter} wrote. @throws MalformedError when there is less, or a bound is broken */
export class ByteReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Bytes read so far. */
  get position(): number {
    return this.#at;
  }

  u8(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw new MalformedError("it ends too early");
    this.#at++;
    return byte;
  }

  u16(): number {
    return (this.u8() << 8) | this.u8();
  }

  u32(): number {
    return this.u16() * 65_536 + this.u16();
  }

  u53(): number {
    const value = this.u32() * HIGH + this.u32();
    if (!Number.isSafeInteger(value)) throw new MalformedError("a number is too large");
    return value;
  }

  digest(): string {
    return toHex(this.raw(DIGEST_BYTES));
  }

  /** A view into the bytes read from, no copy. */
  raw(length: number): Uint8Array {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new MalformedError("it ends too early");
    const bytes = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return bytes;
  }

  sized(bytesMax: number): Uint8Array {
    return this.raw(this.count(bytesMax));
  }

  text(bytesMax: number): string {
    const bytes = this.sized(bytesMax);
    try {
      return decoder.decode(bytes);
    } catch {
      throw new MalformedError("a text is no UTF-8");
    }
  }

  /** A number of things that follow. */
  count(max: number): number {
    const count = this.u32();
    if (count > max) throw new MalformedError(`more than ${max}`);
    return count;
  }

  rest(): Uint8Array {
    return this.raw(this.#bytes.length - this.#at);
  }

  /** There must be nothing left. */
  end(): void {
    if (this.#at !== this.#bytes.length) throw new MalformedError("something follows");
  }
}

/** @returns what `read` makes of the bytes, all of them; undefined when they are malformed */
export function decodeAll<T>(bytes: Uint8Array, read: (reader: ByteReader) => T): T | undefined {
  const reader = new ByteReader(bytes);
  try {
    const value = read(reader);
    reader.end();
    return value;
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
}
