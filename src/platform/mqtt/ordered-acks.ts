import type { Refusal } from "../broker.ts";

const FIRST_SIZE = 16;

/**
 * PUBACKs leave in the order in which their PUBLISH packets came (MQTT 5 section 4.6), whatever the order is in
 * which the messages are settled.
 */
export class OrderedAcks {
  readonly #acknowledge: (messageId: number, refusal: Refusal | undefined) => void;
  /** Rings of the same size, a power of two. */
  #ids = new Uint16Array(FIRST_SIZE);
  /** `undefined`: not settled; `null`: taken. */
  #verdicts: (Refusal | null | undefined)[] = Array.from({ length: FIRST_SIZE });
  #head = 0;
  #tail = 0;

  constructor(acknowledge: (messageId: number, refusal: Refusal | undefined) => void) {
    this.#acknowledge = acknowledge;
  }

  /** Messages that came and are not acknowledged. */
  get pending(): number {
    return this.#tail - this.#head;
  }

  /** @returns the ticket to settle this message with. */
  open(messageId: number): number {
    if (this.pending === this.#ids.length) this.#grow();
    const at = this.#tail & (this.#ids.length - 1);
    this.#ids[at] = messageId;
    this.#verdicts[at] = undefined;
    return this.#tail++;
  }

  settle(ticket: number, refusal: Refusal | undefined): void {
    this.#verdicts[ticket & (this.#ids.length - 1)] = refusal ?? null;
    if (ticket !== this.#head) return;
    while (this.#head < this.#tail) {
      const at = this.#head & (this.#ids.length - 1);
      const verdict = this.#verdicts[at];
      if (verdict === undefined) return;
      this.#verdicts[at] = undefined;
      this.#head++;
      this.#acknowledge(this.#ids[at] ?? 0, verdict ?? undefined);
    }
  }

  #grow(): void {
    const size = this.#ids.length;
    const ids = new Uint16Array(size * 2);
    const verdicts: (Refusal | null | undefined)[] = Array.from({ length: size * 2 });
    for (let ticket = this.#head; ticket < this.#tail; ticket++) {
      ids[ticket & (size * 2 - 1)] = this.#ids[ticket & (size - 1)] ?? 0;
      verdicts[ticket & (size * 2 - 1)] = this.#verdicts[ticket & (size - 1)];
    }
    this.#ids = ids;
    this.#verdicts = verdicts;
  }
}
