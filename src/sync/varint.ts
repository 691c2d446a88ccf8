/** Appends an unsigned integer below 2^53 in groups of seven bits, lowest first (LEB128). */
export function putVarint(into: number[], value: number): void {
  let rest = value;
  while (rest >= 0x80) {
    into.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  into.push(rest);
}

/** Reads what {@link putVarint} wrote, one value after the other. */
export class VarintReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** @throws RangeError when the bytes end early or the value is past 2^53 - 1 */
  next(): number {
    let value = 0;
    for (let factor = 1; ; factor *= 0x80) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw new RangeError("the record ends within a number");
      value += (byte & 0x7f) * factor;
      if (!Number.isSafeInteger(value)) throw new RangeError("the record holds too large a number");
      if (byte < 0x80) return value;
    }
  }

  /** Place of the next value in the bytes. */
  get position(): number {
    return this.#at;
  }

  get ended(): boolean {
    return this.#at >= this.#bytes.length;
  }
}
