import type { Hasher } from "../../platform/hasher.ts";

/** Of what a caller gives an operation to name it by. */
export const OPERATION_ID_BYTES = 16;
const HEAD_BYTES = OPERATION_ID_BYTES + 5;
const NAME_PURPOSE = "agent-mesh/tendermint/operation/1\0";
const KINDS = ["value", "add", "remove", "nothing"] as const;

/**
 * What is put into the order. `add`: data is the id of a ticket, then the peer's name; `remove`: data is the peer's name;
 * `nothing`: a place in the order, for reads.
 */
export interface Operation {
  readonly kind: (typeof KINDS)[number];
  readonly id: Uint8Array;
  readonly data: Uint8Array;
}

/** An operation with its name. */
export interface Named {
  /** 32 hexadecimal digits, of all that the operation is: nobody can give another's id to something else. */
  readonly name: string;
  readonly operation: Operation;
}

/** @returns how many bytes the operation takes in a block */
export function sizeOfOperation({ data }: Operation): number {
  return HEAD_BYTES + data.length;
}

/** @returns the operation with its name */
export function named(operation: Operation, hasher: Hasher): Named {
  const bytes = new Uint8Array(NAME_PURPOSE.length + sizeOfOperation(operation));
  for (let at = 0; at < NAME_PURPOSE.length; at++) bytes[at] = NAME_PURPOSE.charCodeAt(at);
  put(bytes, NAME_PURPOSE.length, operation);
  return { name: hasher.sha256Hex(bytes).slice(0, 2 * OPERATION_ID_BYTES), operation };
}

/** Operations one after the other, as they travel and stand in blocks; see `tendermint.proto`. */
export function encodeOperations(operations: readonly Operation[], headBytes = 0): Uint8Array {
  let length = headBytes;
  for (const operation of operations) length += sizeOfOperation(operation);
  const bytes = new Uint8Array(length);
  let at = headBytes;
  for (const operation of operations) at = put(bytes, at, operation);
  return bytes;
}

/**
 * Reads what {@link encodeOperations} wrote. Ids and data are views of `bytes`.
 * @returns undefined when it is malformed, or more than `operationsMax`; never throws
 */
export function decodeOperations(
  bytes: Uint8Array,
  operationsMax: number,
): readonly Operation[] | undefined {
  const operations: Operation[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  while (at < bytes.length) {
    if (at + HEAD_BYTES > bytes.length || operations.length === operationsMax) return undefined;
    const kind = KINDS[view.getUint8(at)];
    const dataAt = at + HEAD_BYTES;
    const end = dataAt + view.getUint32(at + 1 + OPERATION_ID_BYTES);
    if (kind === undefined || end > bytes.length) return undefined;
    const id = bytes.subarray(at + 1, at + 1 + OPERATION_ID_BYTES);
    operations.push({ kind, id, data: bytes.subarray(dataAt, end) });
    at = end;
  }
  return operations;
}

function put(bytes: Uint8Array, from: number, { kind, id, data }: Operation): number {
  if (id.length !== OPERATION_ID_BYTES)
    throw new Error(`the id of an operation has ${OPERATION_ID_BYTES} bytes, not ${id.length}`);
  let at = from;
  bytes[at++] = KINDS.indexOf(kind);
  bytes.set(id, at);
  at += OPERATION_ID_BYTES;
  for (let shift = 24; shift >= 0; shift -= 8) bytes[at++] = (data.length >>> shift) & 0xff;
  bytes.set(data, at);
  return at + data.length;
}
