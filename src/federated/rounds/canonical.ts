import { type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { toHex } from "../../platform/hex.ts";
import { HASH_BYTES } from "./limits.ts";

/**
 * Reads bytes that must be the one form in which their content is written: without unknown fields, defaults or detours, so that
 * equal contents have equal hashes.
 * @returns undefined for anything else; never throws
 */
export function readCanonical<Schema extends DescMessage>(
  schema: Schema,
  bytes: Uint8Array,
  bytesMax: number,
): MessageShape<Schema> | undefined {
  if (bytes.length > bytesMax) return undefined;
  try {
    const message = fromBinary(schema, bytes, { readUnknownFields: false });
    return isSame(toBinary(schema, message), bytes) ? message : undefined;
  } catch {
    // What the decoder throws depends on the bytes; to us it is all the same.
    return undefined;
  }
}

/** @returns whether both hold the same bytes */
export function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}

/** @returns 64 hexadecimal digits; undefined for what is no SHA-256 */
export function hashOf(bytes: Uint8Array): string | undefined {
  return bytes.length === HASH_BYTES ? toHex(bytes) : undefined;
}
