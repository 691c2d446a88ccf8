import { putHex, toHex } from "../../platform/hex.ts";
import {
  decodeOperations,
  encodeOperations,
  type Operation,
  sizeOfOperation,
} from "./operation.ts";

const VERSION = 1;
const DIGEST_BYTES = 32;
const HEAD_BYTES = 1 + DIGEST_BYTES + 8 + DIGEST_BYTES;
const NO_DIGEST = "00".repeat(DIGEST_BYTES);

/** The state that a block stands on. */
export interface Basis {
  /** Digest of everything that was applied before, with what came of it. */
  readonly head: string;
  /** The last height before the block whose state was digested as a whole; 0 for none. */
  readonly snapshotHeight: number;
  /** Of that state; undefined for none. */
  readonly snapshotDigest: string | undefined;
}

/**
 * What is decided on at one height. With it more than 2/3 of the members vouch for the state before it, so whoever comes
 * late can be given that state by anybody.
 */
export interface Block {
  readonly basis: Basis;
  readonly operations: readonly Operation[];
}

/** Bounds of a block. */
export interface BlockLimits {
  readonly blockBytesMax: number;
  readonly blockOperationsMax: number;
  readonly valueBytesMax: number;
}

/** @returns how many bytes a block has room for in its operations */
export function roomOf({ blockBytesMax }: BlockLimits): number {
  return blockBytesMax - HEAD_BYTES;
}

/** @returns whether the operation may stand in a block */
export function isInBounds(operation: Operation, limits: BlockLimits): boolean {
  const isSmall = operation.kind !== "nothing" || operation.data.length === 0;
  return (
    isSmall &&
    operation.data.length <= limits.valueBytesMax &&
    sizeOfOperation(operation) <= roomOf(limits)
  );
}

/** @returns the bytes of a block; equal blocks have equal bytes */
export function encodeBlock({ basis, operations }: Block): Uint8Array {
  const bytes = encodeOperations(operations, HEAD_BYTES);
  bytes[0] = VERSION;
  putHex(bytes, 1, basis.head);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(1 + DIGEST_BYTES, BigInt(basis.snapshotHeight));
  putHex(bytes, 1 + DIGEST_BYTES + 8, basis.snapshotDigest ?? NO_DIGEST);
  return bytes;
}

/** @returns undefined for what is no block, or out of bounds; never throws. Data are views of `bytes` */
export function decodeBlock(bytes: Uint8Array, limits: BlockLimits): Block | undefined {
  if (bytes.length < HEAD_BYTES || bytes.length > limits.blockBytesMax || bytes[0] !== VERSION)
    return undefined;
  const operations = decodeOperations(bytes.subarray(HEAD_BYTES), limits.blockOperationsMax);
  if (operations === undefined) return undefined;
  let changes = 0;
  for (const operation of operations) {
    if (!isInBounds(operation, limits)) return undefined;
    if (isChange(operation)) changes++;
  }
  // One at a time: a set and the next one share a quorum.
  if (changes > 1) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEAD_BYTES);
  const digest = toHex(bytes.subarray(1 + DIGEST_BYTES + 8, HEAD_BYTES));
  const basis = {
    head: toHex(bytes.subarray(1, 1 + DIGEST_BYTES)),
    snapshotHeight: Number(view.getBigUint64(1 + DIGEST_BYTES)),
    snapshotDigest: digest === NO_DIGEST ? undefined : digest,
  };
  return { basis, operations };
}

/** @returns whether the operation changes who votes */
export function isChange({ kind }: Operation): boolean {
  return kind === "add" || kind === "remove";
}

/** @returns whether both are the same state */
export function isSameBasis(one: Basis, other: Basis): boolean {
  return (
    one.head === other.head &&
    one.snapshotHeight === other.snapshotHeight &&
    one.snapshotDigest === other.snapshotDigest
  );
}
