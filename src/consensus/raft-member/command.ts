import type { Random } from "../../platform/random.ts";

/** Names a proposal for ever, so that one that is made again is decided once. */
export const PROPOSAL_ID_BYTES = 16;
const DRAWN_AT_ONCE = 64;

/** What a member proposes, and how it knows it again. */
export interface Command {
  readonly id: Uint8Array;
  readonly value: Uint8Array;
}

/** @returns the data of a log entry: the id, then the value */
export function encodeCommand({ id, value }: Command): Uint8Array {
  if (id.length !== PROPOSAL_ID_BYTES)
    throw new Error(`the id of a proposal has ${PROPOSAL_ID_BYTES} bytes, not ${id.length}`);
  const data = new Uint8Array(PROPOSAL_ID_BYTES + value.length);
  data.set(id);
  data.set(value, PROPOSAL_ID_BYTES);
  return data;
}

/** @returns the command; undefined for the empty entry of a new leader, and for what is none */
export function decodeCommand(data: Uint8Array): Command | undefined {
  if (data.length < PROPOSAL_ID_BYTES) return undefined;
  return { id: data.subarray(0, PROPOSAL_ID_BYTES), value: data.subarray(PROPOSAL_ID_BYTES) };
}

/** Draws ids for proposals, many at a time, since each draw costs. */
export class ProposalIds {
  readonly #random: Random;
  #drawn: Uint8Array = new Uint8Array();

  constructor(random: Random) {
    this.#random = random;
  }

  next(): Uint8Array {
    if (this.#drawn.length === 0)
      this.#drawn = this.#random.bytes(DRAWN_AT_ONCE * PROPOSAL_ID_BYTES);
    const id = this.#drawn.subarray(0, PROPOSAL_ID_BYTES);
    this.#drawn = this.#drawn.subarray(PROPOSAL_ID_BYTES);
    return id;
  }
}
