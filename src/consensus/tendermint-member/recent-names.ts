import { fromHex, toHex } from "../../platform/hex.ts";
import { OPERATION_ID_BYTES } from "./operation.ts";

/** An operation that is put in again is known for this many further ones, the same number at every member. */
const NAMES_MAX = 8_192;

/** Names of what was decided lately, in the order of the decisions: what comes in twice is applied once. */
export class RecentNames {
  readonly #names = new Set<string>();
  /** A ring: once it is full, the oldest one stands where the next one goes. */
  readonly #order: string[] = [];
  #next = 0;

  has(name: string): boolean {
    return this.#names.has(name);
  }

  /** @returns false when it was there already */
  add(name: string): boolean {
    if (this.#names.has(name)) return false;
    this.#names.add(name);
    const oldest = this.#order[this.#next];
    if (oldest !== undefined) this.#names.delete(oldest);
    this.#order[this.#next] = name;
    this.#next = (this.#next + 1) % NAMES_MAX;
    return true;
  }

  /** @returns the bytes of the names, oldest first */
  snapshot(): Uint8Array {
    const order = [...this.#order.slice(this.#next), ...this.#order.slice(0, this.#next)];
    return fromHex(order.join(""));
  }

  /** Takes over what {@link snapshot} gave. */
  restore(bytes: Uint8Array): void {
    this.#names.clear();
    this.#order.length = 0;
    this.#next = 0;
    for (let at = 0; at < bytes.length; at += OPERATION_ID_BYTES)
      this.add(toHex(bytes.subarray(at, at + OPERATION_ID_BYTES)));
  }
}
