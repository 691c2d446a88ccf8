import type { BlockRecord, DecodedBlock } from "./block.ts";
import { CONTENT_TYPES } from "./content-types.ts";
import { ByteReader } from "./varint.ts";

/**
 * The records of version 0.1.0: one update under each key. They are read, so that what was queued before an
 * upgrade leaves like everything else, and never written.
 *
 *     version and flags   1 byte   bit 7–4 version 1, 0 observedAtTrusted, 1 has expiry, 2 has key
 *     stream id, sequence, boot    varint each
 *     content type        varint   0: a string follows
 *     observedAtMs, monotonicMs    varint each
 *     [expiresAfterMs]    varint
 *     [key]               varint length, UTF-8
 *     payload             the rest
 */
export const VERSION_1 = 1;
const TRUSTED = 1;
const EXPIRES = 2;
const KEYED = 4;

/** @throws Error when the bytes end too early. */
export function decodeRecordV1(value: Uint8Array, ordinal: number): DecodedBlock {
  const reader = new ByteReader(value);
  const head = reader.byte();
  const streamId = reader.varint();
  const sequence = reader.varint();
  const boot = reader.varint();
  const type = reader.varint();
  const contentType = type === 0 ? reader.text() : CONTENT_TYPES[type];
  if (contentType === undefined) throw new Error(`unknown content type number ${type}`);
  const observedAtMs = reader.varint();
  const monotonicMs = reader.varint();
  const expiresAfterMs = (head & EXPIRES) === 0 ? 0 : reader.varint();
  const key = (head & KEYED) === 0 ? undefined : reader.text();
  const record: BlockRecord = {
    ordinal,
    streamId,
    sequence,
    contentType,
    expiresAfterMs,
    key,
    payload: reader.rest(),
  };
  const observedAtTrusted = (head & TRUSTED) !== 0;
  return { boot, observedAtMs, observedAtTrusted, monotonicMs, thinned: 0, records: [record] };
}
