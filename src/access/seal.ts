import type { Hasher } from "../platform/hasher.ts";
import type { Random } from "../platform/random.ts";

const MAC_DIGITS = 32;

/**
 * Seals texts that clients carry back to us, so that only what this process gave out is taken back. The key
 * lives as long as the process.
 */
export class Seal {
  readonly #hasher: Hasher;
  readonly #key: string;

  constructor(parts: { hasher: Hasher; random: Random }) {
    this.#hasher = parts.hasher;
    this.#key = Buffer.from(parts.random.fork("seal").bytes(32)).toString("hex");
  }

  /** @returns the text, readable, with a proof that we wrote it; safe in URLs. */
  seal(text: string): string {
    return `${Buffer.from(text).toString("base64url")}.${this.#mac(text)}`;
  }

  /** @returns the text, or undefined when it was not sealed here. */
  open(sealed: string): string | undefined {
    const dot = sealed.lastIndexOf(".");
    const text = Buffer.from(sealed.slice(0, Math.max(0, dot)), "base64url").toString("utf8");
    return this.#hasher.equal(sealed.slice(dot + 1), this.#mac(text)) ? text : undefined;
  }

  /** Hashed twice with the key, since one plain pass could be lengthened by whoever knows its result. */
  #mac(text: string): string {
    const inner = this.#hasher.sha256Hex(`${this.#key}${text}`);
    return this.#hasher.sha256Hex(`${this.#key}${inner}`).slice(0, MAC_DIGITS);
  }
}
