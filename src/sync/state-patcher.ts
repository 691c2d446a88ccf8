import { parseExactly } from "./exact-json.ts";
import { diffMergePatch, isObject, type JsonObject } from "./merge-patch.ts";
import type { StatePatch } from "./update-line.ts";

/** Memory of one entry besides its text, roughly. */
const ENTRY_BYTES = 200;

interface Acknowledged {
  readonly sequence: number;
  readonly value: JsonObject;
  readonly bytes: number;
}

/**
 * The sender's side of state patches: remembers the last acknowledged state of every stream and key, and says
 * how a new state differs from it. Bounded in bytes; what was used longest ago is forgotten first, which only
 * means that the next state of that key travels in full.
 */
export class StatePatcher {
  readonly #bytesMax: number;
  readonly #states = new Map<string, Acknowledged>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes remembered, roughly. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * @param text the state, as JSON
   * @returns the difference from the last acknowledged state where it is smaller than the text itself
   */
  patch(stream: string, key: string, text: string): StatePatch | undefined {
    const name = nameOf(stream, key);
    const known = this.#states.get(name);
    if (known === undefined) return undefined;
    this.#states.delete(name);
    this.#states.set(name, known);
    const value = parseState(text);
    if (value === undefined) return undefined;
    const merge = diffMergePatch(known.value, value);
    if (merge === undefined) return undefined;
    const patch = { base: known.sequence, merge };
    return Buffer.byteLength(JSON.stringify(patch)) < Buffer.byteLength(text) ? patch : undefined;
  }

  /** The receiver has this state: from now on it may be a base. */
  acknowledged(stream: string, key: string, sequence: number, text: string): void {
    const name = nameOf(stream, key);
    const known = this.#states.get(name);
    // Acknowledgements may overtake each other.
    if (known !== undefined && known.sequence > sequence) return;
    this.forget(stream, key);
    const bytes = ENTRY_BYTES + 2 * (name.length + text.length);
    const value = bytes > this.#bytesMax ? undefined : parseState(text);
    if (value === undefined) return;
    this.#states.set(name, { sequence, value, bytes });
    this.#bytes += bytes;
    for (const [oldest, { bytes }] of this.#states) {
      if (this.#bytes <= this.#bytesMax) break;
      this.#states.delete(oldest);
      this.#bytes -= bytes;
    }
  }

  /** The receiver does not have the base after all (`sync.base-missing`): the next state travels in full. */
  forget(stream: string, key: string): void {
    const name = nameOf(stream, key);
    const known = this.#states.get(name);
    if (known === undefined) return;
    this.#states.delete(name);
    this.#bytes -= known.bytes;
  }

  /** Another receiver answers now, which has none of the bases. */
  clear(): void {
    this.#states.clear();
    this.#bytes = 0;
  }
}

function nameOf(stream: string, key: string): string {
  return `${stream}\u0000${key}`;
}

/** @returns the JSON object in the text, if that is what it holds */
function parseState(text: string): JsonObject | undefined {
  try {
    const value = parseExactly(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
