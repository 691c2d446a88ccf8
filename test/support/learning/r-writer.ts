/** Writes what R's `save(..., compress = FALSE)` does, as far as tests need it. */
export class RWriter {
  readonly #bytes: number[] = [];

  integer(value: number): this {
    this.#bytes.push(
      (value >>> 24) & 0xff,
      (value >>> 16) & 0xff,
      (value >>> 8) & 0xff,
      value & 0xff,
    );
    return this;
  }

  ascii(text: string): this {
    for (const letter of Buffer.from(text)) this.#bytes.push(letter);
    return this;
  }

  header(version: 2 | 3): this {
    this.ascii(`RDX${version}\nX\n`).integer(version).integer(0x040201).integer(0x020300);
    return version === 3 ? this.integer(5).ascii("UTF-8") : this;
  }

  text(text: string | null): this {
    this.integer(0x40009);
    return text === null ? this.integer(-1) : this.integer(Buffer.byteLength(text)).ascii(text);
  }

  symbol(name: string): this {
    return this.integer(1).text(name);
  }

  /** An element of a list with names: its value has to follow. */
  named(name: string): this {
    return this.integer(0x402).symbol(name);
  }

  nil(): this {
    return this.integer(0xfe);
  }

  integers(values: readonly number[], flags = 0): this {
    this.integer(13 | flags).integer(values.length);
    for (const value of values) this.integer(value);
    return this;
  }

  reals(values: readonly number[]): this {
    this.integer(14).integer(values.length);
    const bytes = Buffer.alloc(8);
    for (const value of values) {
      bytes.writeDoubleBE(value);
      this.#bytes.push(...bytes);
    }
    return this;
  }

  texts(values: readonly (string | null)[]): this {
    this.integer(16).integer(values.length);
    for (const value of values) this.text(value);
    return this;
  }

  bytes(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }
}

/** @returns a file with one data frame: columns `size` (numbers) and `colour` (a factor) */
export function smallDataFrame(version: 2 | 3): Uint8Array {
  return new RWriter()
    .header(version)
    .named("frame")
    .integer(0x313)
    .integer(2)
    .reals([1.5, 2.5, -3])
    .integers([2, 1, 2], 0x300)
    .named("levels")
    .texts(["red", "blau é"])
    .named("class")
    .texts(["factor"])
    .nil()
    .named("names")
    .texts(["size", "colour"])
    .named("row.names")
    .integers([-0x8000_0000, -3])
    .nil()
    .nil()
    .bytes();
}
