import { DataError } from "./data-error.ts";

/** Attributes of a value by their names: `names`, `levels`, `class`, … */
export type RAttributes = ReadonlyMap<string, RValue>;

/** A value of R, as far as tables are made of them. A missing number is NaN, a missing text null. */
export type RValue =
  | { readonly kind: "null" }
  | { readonly kind: "numbers"; readonly values: Float64Array; readonly attributes: RAttributes }
  | {
      readonly kind: "texts";
      readonly values: readonly (string | null)[];
      readonly attributes: RAttributes;
    }
  | {
      readonly kind: "list";
      readonly values: readonly RValue[];
      readonly attributes: RAttributes;
    };

const DEPTH_MAX = 32;
const BYTES_MAX = 512 * 1024 * 1024;
const SYMBOLS_MAX = 10_000;
const NONE: RAttributes = new Map();
const NULL: RValue = { kind: "null" };
/** How R writes a missing whole number. */
const MISSING = -0x8000_0000;

/** Kinds of items, from R's serialize.c. */
const SYMBOL = 1;
const PAIRS = 2;
const TEXT = 9;
const LOGICALS = 10;
const INTEGERS = 13;
const REALS = 14;
const TEXTS = 16;
const LIST = 19;
const COMPACT = 238;
const BASE_NAMESPACE = 247;
const EMPTY_ENVIRONMENT = 242;
const GLOBAL_ENVIRONMENT = 253;
const NIL = 254;
const REFERENCE = 255;

/**
 * Reads what R's `save()` wrote, uncompressed, in XDR: versions 2 and 3 ("R Internals", section 1.8, Serialization
 * Formats). Numbers, texts, factors and lists are read; functions, environments and whatever else R can save are refused,
 * so nothing of a file can do anything.
 *
 * @returns the objects by their names
 * @throws DataError `data.format` naming what can not be read and where; `data.too-large`
 */
export function readRData(bytes: Uint8Array): ReadonlyMap<string, RValue> {
  if (bytes.length > BYTES_MAX)
    throw new DataError("data.too-large", `R data: ${bytes.length} bytes, ${BYTES_MAX} at most`);
  return new Reader(bytes).objects();
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #symbols: string[] = [];
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  objects(): ReadonlyMap<string, RValue> {
    const magic = this.#ascii(5);
    if (magic !== "RDX2\n" && magic !== "RDX3\n")
      throw this.#fault("it does not begin with RDX2 or RDX3; is it compressed, or no R data?");
    if (this.#ascii(2) !== "X\n") throw this.#fault("only the XDR form is read");
    const version = this.#integer();
    this.#skip(8);
    if (version === 3) this.#skip(this.#length(1));
    else if (version !== 2) throw this.#fault(`version ${version}, only 2 and 3 are read`);
    const flags = this.#integer();
    if ((flags & 0xff) === NIL) return NONE;
    if ((flags & 0xff) !== PAIRS) throw this.#fault("no objects with names in it");
    return this.#pairs(flags, 0);
  }

  #item(depth: number): RValue {
    if (depth > DEPTH_MAX) throw this.#fault(`nested more than ${DEPTH_MAX} deep`);
    const flags = this.#integer();
    const type = flags & 0xff;
    const attributes = (): RAttributes =>
      (flags & 0x200) === 0 ? NONE : this.#attributes(depth + 1);
    switch (type) {
      case NIL:
      case GLOBAL_ENVIRONMENT:
      case EMPTY_ENVIRONMENT:
      case BASE_NAMESPACE:
        return NULL;
      case SYMBOL:
      case REFERENCE:
        return { kind: "texts", values: [this.#symbol(flags)], attributes: NONE };
      case PAIRS: {
        const pairs = this.#pairs(flags, depth);
        const names: RValue = { kind: "texts", values: [...pairs.keys()], attributes: NONE };
        return {
          kind: "list",
          values: [...pairs.values()],
          attributes: new Map([["names", names]]),
        };
      }
      case LOGICALS:
      case INTEGERS: {
        const values = new Float64Array(this.#length(4));
        for (let at = 0; at < values.length; at++) {
          const value = this.#integer();
          values[at] = value === MISSING ? Number.NaN : value;
        }
        return { kind: "numbers", values, attributes: attributes() };
      }
      case REALS: {
        const values = new Float64Array(this.#length(8));
        for (let at = 0; at < values.length; at++)
          values[at] = this.#view.getFloat64(this.#at + 8 * at);
        this.#skip(8 * values.length);
        return { kind: "numbers", values, attributes: attributes() };
      }
      case TEXTS: {
        const values = Array.from({ length: this.#length(8) }, () => this.#text());
        return { kind: "texts", values, attributes: attributes() };
      }
      case LIST: {
        const values = Array.from({ length: this.#length(4) }, () => this.#item(depth + 1));
        return { kind: "list", values, attributes: attributes() };
      }
      case COMPACT:
        return this.#compact(depth);
      default:
        throw this.#fault(`an item of type ${type} is neither numbers nor texts nor a list`);
    }
  }

  /** Elements of a list with names, one after the other; R writes the rest of a list as its tail. */
  #pairs(first: number, depth: number): ReadonlyMap<string, RValue> {
    const pairs = new Map<string, RValue>();
    let flags = first;
    while ((flags & 0xff) === PAIRS) {
      if ((flags & 0x200) !== 0) this.#attributes(depth + 1);
      const name = (flags & 0x400) === 0 ? String(pairs.size) : this.#symbol(this.#integer());
      pairs.set(name, this.#item(depth + 1));
      flags = this.#integer();
    }
    if ((flags & 0xff) !== NIL) throw this.#fault("a list that does not end");
    return pairs;
  }

  #attributes(depth: number): RAttributes {
    if (depth > DEPTH_MAX) throw this.#fault(`nested more than ${DEPTH_MAX} deep`);
    const flags = this.#integer();
    return (flags & 0xff) === NIL ? NONE : this.#pairs(flags, depth);
  }

  /** What R 3.5 and later keeps short: ranges of whole numbers, and wrappers around what is whole. */
  #compact(depth: number): RValue {
    const about = this.#item(depth + 1);
    const state = this.#item(depth + 1);
    this.#item(depth + 1);
    const [name] =
      about.kind === "list" && about.values[0]?.kind === "texts" ? about.values[0].values : [];
    if (name === "compact_intseq" && state.kind === "numbers") {
      const [count = 0, from = 0, step = 1] = state.values;
      if (!(count >= 0 && count <= this.#bytes.length))
        throw this.#fault(`a range of ${count} numbers`);
      return {
        kind: "numbers",
        values: Float64Array.from({ length: count }, (_, at) => from + at * step),
        attributes: NONE,
      };
    }
    const inner = state.kind === "list" ? state.values[0] : undefined;
    if (name?.startsWith("wrap_") === true && inner !== undefined) return inner;
    throw this.#fault(`a compact form "${name ?? "without name"}"`);
  }

  #symbol(flags: number): string {
    if ((flags & 0xff) === REFERENCE) {
      const packed = flags >> 8;
      const symbol = this.#symbols[(packed === 0 ? this.#integer() : packed) - 1];
      if (symbol === undefined) throw this.#fault("a reference to nothing");
      return symbol;
    }
    if ((flags & 0xff) !== SYMBOL) throw this.#fault("a name that is none");
    const name = this.#text() ?? "NA";
    if (this.#symbols.length >= SYMBOLS_MAX) throw this.#fault(`more than ${SYMBOLS_MAX} names`);
    this.#symbols.push(name);
    return name;
  }

  #text(): string | null {
    if ((this.#integer() & 0xff) !== TEXT) throw this.#fault("a text that is none");
    const length = this.#integer();
    if (length === -1) return null;
    if (length < 0) throw this.#fault(`a text of length ${length}`);
    const from = this.#at;
    this.#skip(length);
    return new TextDecoder().decode(this.#bytes.subarray(from, this.#at));
  }

  /** @returns a length, of items that take so many bytes at least, that the rest of the file can hold */
  #length(itemBytes: number): number {
    const length = this.#integer();
    if (length < 0 || length * itemBytes > this.#bytes.length - this.#at)
      throw this.#fault(`${length} items do not fit into what is left`);
    return length;
  }

  #integer(): number {
    const at = this.#at;
    this.#skip(4);
    return this.#view.getInt32(at);
  }

  #ascii(length: number): string {
    const from = this.#at;
    this.#skip(length);
    return String.fromCharCode(...this.#bytes.subarray(from, this.#at));
  }

  #skip(length: number): void {
    if (this.#at + length > this.#bytes.length) throw this.#fault("the file ends early");
    this.#at += length;
  }

  #fault(what: string): DataError {
    return new DataError("data.format", `R data, byte ${this.#at}: ${what}`);
  }
}
