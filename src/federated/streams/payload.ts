/** Larger payloads are not looked into. */
const PAYLOAD_BYTES_MAX = 64 * 1024;
const DECIMAL = /^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*$/;

/** Names of keys and places of items, from the outside in. */
export type FieldPath = readonly string[];

/** Reads where a number lies. @param field a JSON Pointer (RFC 6901) where it begins with a slash, otherwise names with dots */
export function fieldPath(field: string): FieldPath {
  if (!field.startsWith("/")) return field.split(".");
  return field
    .slice(1)
    .split("/")
    .map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** A reading's payload, which is parsed once however many channels look into it. */
export class Payload {
  readonly #bytes: Uint8Array;
  #text: string | undefined;
  #json: { readonly value: unknown } | undefined;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /**
   * The number at that place: a number, a text that is one, or true and false as 1 and 0. Never throws.
   * @param path undefined: the payload itself is the number
   * @returns undefined where there is none that is finite
   */
  numberAt(path: FieldPath | undefined): number | undefined {
    if (this.#bytes.length > PAYLOAD_BYTES_MAX) return undefined;
    this.#text ??= new TextDecoder().decode(this.#bytes);
    if (path === undefined && DECIMAL.test(this.#text)) return finite(Number(this.#text));
    let value = this.#parsed(this.#text);
    for (const name of path ?? []) {
      if (typeof value !== "object" || value === null || !Object.hasOwn(value, name))
        return undefined;
      value = (value as Record<string, unknown>)[name];
    }
    if (typeof value === "boolean") return value ? 1 : 0;
    if (typeof value === "string") return DECIMAL.test(value) ? finite(Number(value)) : undefined;
    return typeof value === "number" ? finite(value) : undefined;
  }

  #parsed(text: string): unknown {
    if (this.#json === undefined) {
      let value: unknown;
      try {
        value = JSON.parse(text);
      } catch {
        // What is no JSON has no fields.
      }
      this.#json = { value };
    }
    return this.#json.value;
  }
}

/** Histories are kept in float32: what would become infinite there is none. */
function finite(value: number): number | undefined {
  return Number.isFinite(Math.fround(value)) ? value : undefined;
}
