import type { PreparedCertificate } from "./certificate.ts";
import { Slot } from "./slot.ts";
import type { Turn } from "./turn.ts";

/**
 * The slots between the watermarks, and those below that wait to be executed. Two windows at most: one that is stable
 * elsewhere and not executed here, and the current one.
 */
export class Log {
  readonly #windowSize: number;
  readonly #slots = new Map<number, Slot>();
  #low = 0;
  #highest = 0;

  constructor(windowSize: number) {
    this.#windowSize = windowSize;
  }

  /** The last stable checkpoint: the low watermark. */
  get low(): number {
    return this.#low;
  }

  get high(): number {
    return this.#low + this.#windowSize;
  }

  /** Nothing is kept up to here: a replica that did not execute it needs the state instead. */
  get floor(): number {
    return this.#low - this.#windowSize;
  }

  /** The last sequence number that anything is known of. */
  get highest(): number {
    return this.#highest;
  }

  isInWindow(sequence: number): boolean {
    return sequence > this.#low && sequence <= this.high;
  }

  get(sequence: number): Slot | undefined {
    return this.#slots.get(sequence);
  }

  /** The slot, a new one if there is none. The caller sees to it that the number is within bounds. */
  at(sequence: number): Slot {
    let slot = this.#slots.get(sequence);
    if (slot === undefined) {
      slot = new Slot(sequence);
      this.#slots.set(sequence, slot);
      this.#highest = Math.max(this.#highest, sequence);
    }
    return slot;
  }

  /** In no certain order. */
  slots(): Iterable<Slot> {
    return this.#slots.values();
  }

  /** Proof of all that was prepared above the low watermark, by sequence number. */
  prepared(): PreparedCertificate[] {
    const prepared: PreparedCertificate[] = [];
    for (const { prepared: certificate } of this.#slots.values())
      if (certificate !== undefined && certificate.sequence > this.#low) prepared.push(certificate);
    return prepared.sort((left, right) => left.sequence - right.sequence);
  }

  /** A checkpoint became stable. What is below the window before goes, executed or not. */
  advance(turn: Turn, stable: number): void {
    this.#low = stable;
    this.drop(turn, this.floor);
  }

  /** The state up to here is on record: its slots are needed no more. */
  drop(turn: Turn, upTo: number): void {
    for (const [sequence, slot] of this.#slots) {
      if (sequence > upTo) continue;
      slot.erase(turn);
      this.#slots.delete(sequence);
    }
  }
}
