import type { SendOutcome } from "../../uplink-connection.ts";

type Settle = (outcome: SendOutcome) => void;

/**
 * Who waits for what proof of delivery: a PUBACK under an identifier (QoS 1), or the PINGRESP to a PINGREQ that
 * was sent afterwards (QoS 0).
 */
export class Settlements {
  readonly #idsMax: number;
  /** Identifiers up to here are used for something else. */
  readonly #idsTaken: number;
  readonly #byId = new Map<number, Settle>();
  #unproven: Settle[] = [];
  #asked: Settle[] = [];
  #lastId: number;

  constructor(idsMax: number, idsTaken: number) {
    this.#idsMax = idsMax;
    this.#idsTaken = idsTaken;
    this.#lastId = idsTaken;
  }

  /** True while something waits for a PINGREQ to be sent. */
  get awaitingPong(): boolean {
    return this.#unproven.length > 0;
  }

  /** @returns the packet identifier whose PUBACK settles this; it is not in use. */
  byId(settle: Settle): number {
    do this.#lastId = this.#lastId >= this.#idsMax ? this.#idsTaken + 1 : this.#lastId + 1;
    while (this.#byId.has(this.#lastId));
    this.#byId.set(this.#lastId, settle);
    return this.#lastId;
  }

  take(messageId: number): Settle | undefined {
    const settle = this.#byId.get(messageId);
    this.#byId.delete(messageId);
    return settle;
  }

  byPong(settle: Settle): void {
    this.#unproven.push(settle);
  }

  /** The answer to the PINGREQ that leaves now proves everything before it. */
  pingSent(): void {
    this.#asked.push(...this.#unproven);
    this.#unproven = [];
  }

  pongHeard(): void {
    const proven = this.#asked;
    this.#asked = [];
    for (const settle of proven) settle({ kind: "acknowledged" });
  }

  clear(): void {
    this.#byId.clear();
    this.#unproven = [];
    this.#asked = [];
  }
}
