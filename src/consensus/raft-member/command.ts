/** Names a proposal for ever, so that one that is made again is decided once. */
export const PROPOSAL_ID_BYTES = 16;

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
