import { type BlockHeader, BlockRecord, type DecodedBlock } from "./block.ts";
import { CONTENT_TYPES } from "./content-types.ts";
import { decodeRecordV1, VERSION_1 } from "./record-v1.ts";
import { ByteReader, putVarint, VARINT_BYTES_MAX } from "./varint.ts";
import { deflate, inflate } from "./zstd.ts";

/**
 * How the updates of one commit lie on disk. They share what a commit shares, so that a reading costs about
 * eight bytes beyond its payload: flash wear counts every one of them.
 *
 *     version and flags   1 byte   bit 7–4 version 2, 0 observedAtTrusted, 1 body is compressed (zstd)
 *     boot                varint
 *     observedAtMs        varint   whole milliseconds
 *     monotonicMs         varint   whole milliseconds
 *     thinned             varint   how often it was thinned out
 *     [body bytes]        varint   where compressed: before compression
 *     body                records until the end
 *
 * A record:
 *
 *     ordinal             varint   distance from the one before; of the first, from the block's key
 *     stream id           varint
 *     sequence            varint
 *     form                1 byte   bit 3–0 content type (0: spelled out), 4 has expiry, 5 has key
 *     [content type]      varint length, UTF-8
 *     [expiresAfterMs]    varint
 *     [key]               varint length, UTF-8
 *     payload             varint length, bytes
 */
const VERSION_2 = 2;
const TRUSTED = 1;
const COMPRESSED = 2;
const EXPIRES = 0x10;
const KEYED = 0x20;
const HEADER_BYTES_MAX = 1 + 5 * VARINT_BYTES_MAX;
/** Everything of a record but its content type, key and payload. */
const RECORD_BYTES_MAX = 1 + 7 * VARINT_BYTES_MAX;
/** No block is larger: `outbox.updateBytesMax` is at most 16 MiB, and only a lone update may exceed a block. */
const BODY_BYTES_MAX = 32 * 1024 * 1024;
/** Below this, what compression saves is not worth its own header. */
const COMPRESS_FROM_BYTES = 256;

/** What a record is made of, as the outbox has it. */
type RecordParts = Omit<BlockRecord, "streamId">;

const WRITER_BYTES_MIN = 1_024;

/** Gathers records of one block; used again for the next one, so that its memory is not made anew. */
export class BlockWriter {
  #bytes = Buffer.allocUnsafeSlow(WRITER_BYTES_MIN);
  #at = 0;
  #lastOrdinal = 0;
  #first = 0;
  count = 0;

  /** The ordinal that the block's key will be made of. */
  get first(): number {
    return this.#first;
  }

  /** Bytes of the records so far. */
  get bytes(): number {
    return this.#at;
  }

  /** Begins a block at `first`, which is the ordinal of its first record or one before. */
  start(first: number): void {
    this.#first = first;
    this.#lastOrdinal = first;
    this.#at = 0;
    this.count = 0;
  }

  add(record: RecordParts, streamId: number): void {
    const { ordinal, contentType, key, payload, expiresAfterMs } = record;
    const type = CONTENT_TYPES.indexOf(contentType, 1);
    const texts = type > 0 && key === undefined ? 0 : 3 * (contentType.length + (key?.length ?? 0));
    this.#reserve(RECORD_BYTES_MAX + texts + payload.length);
    const into = this.#bytes;
    let at = putVarint(into, this.#at, ordinal - this.#lastOrdinal);
    at = putVarint(into, at, streamId);
    at = putVarint(into, at, record.sequence);
    into[at++] =
      Math.max(0, type) | (expiresAfterMs > 0 ? EXPIRES : 0) | (key === undefined ? 0 : KEYED);
    if (type < 0) at = putText(into, at, contentType);
    if (expiresAfterMs > 0) at = putVarint(into, at, Math.ceil(expiresAfterMs));
    if (key !== undefined) at = putText(into, at, key);
    at = putVarint(into, at, payload.length);
    into.set(payload, at);
    this.#at = at + payload.length;
    this.#lastOrdinal = ordinal;
    this.count++;
  }

  /** @returns the value of the block. */
  finish(header: BlockHeader, compress: boolean): Uint8Array {
    const plain = this.#bytes.subarray(0, this.#at);
    const packed = compress && plain.length >= COMPRESS_FROM_BYTES ? deflate(plain) : undefined;
    const body = packed !== undefined && packed.length < plain.length ? packed : plain;
    const value = Buffer.allocUnsafeSlow(HEADER_BYTES_MAX + body.length);
    const isPacked = body !== plain;
    value[0] =
      (VERSION_2 << 4) | (header.observedAtTrusted ? TRUSTED : 0) | (isPacked ? COMPRESSED : 0);
    let at = putVarint(value, 1, header.boot);
    at = putVarint(value, at, Math.max(0, Math.floor(header.observedAtMs)));
    at = putVarint(value, at, Math.max(0, Math.floor(header.monotonicMs)));
    at = putVarint(value, at, header.thinned);
    if (isPacked) at = putVarint(value, at, plain.length);
    value.set(body, at);
    return value.subarray(0, at + body.length);
  }

  #reserve(bytes: number): void {
    const needed = this.#at + bytes;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#bytes.length));
    this.#bytes.copy(larger, 0, 0, this.#at);
    this.#bytes = larger;
  }
}

/** @returns the most that an update takes on disk, in bytes, when it has a block of its own. */
export function recordBytesMax(parts: {
  readonly payload: Uint8Array;
  readonly contentType: string;
  readonly key?: string | undefined;
}): number {
  const { payload, contentType, key } = parts;
  const texts = 3 * (contentType.length + (key?.length ?? 0));
  return RECORD_HEAD_BYTES + payload.length + texts;
}

/** Key, header and head of a record: what they take at most in practice; numbers stay below 2^42. */
const RECORD_HEAD_BYTES = 12 + 24 + 24;

/**
 * @param first the ordinal in the block's key
 * @throws Error when the bytes are not a block. Whether they are as they were written is the store's to know.
 */
export function decodeBlock(value: Uint8Array, first: number): DecodedBlock {
  const head = value[0] ?? 0;
  if (head >> 4 === VERSION_1) return decodeRecordV1(value, first);
  if (head >> 4 !== VERSION_2) throw new Error(`unknown block version ${head >> 4}`);
  const reader = new ByteReader(value, 1);
  const header = {
    boot: reader.varint(),
    observedAtMs: reader.varint(),
    observedAtTrusted: (head & TRUSTED) !== 0,
    monotonicMs: reader.varint(),
    thinned: reader.varint(),
  };
  const isPacked = (head & COMPRESSED) !== 0;
  const bodyBytes = isPacked ? reader.varint() : 0;
  if (bodyBytes > BODY_BYTES_MAX) throw new Error(`block of ${bodyBytes} bytes is too large`);
  const body = isPacked ? inflate(reader.rest(), bodyBytes) : reader.rest();
  return { ...header, records: decodeRecords(body, first) };
}

function decodeRecords(body: Uint8Array, first: number): BlockRecord[] {
  const reader = new ByteReader(body);
  const records: BlockRecord[] = [];
  let ordinal = first;
  while (reader.left > 0) {
    ordinal += reader.varint();
    const streamId = reader.varint();
    const sequence = reader.varint();
    const form = reader.byte();
    const type = form & 0x0f;
    const contentType = type === 0 ? reader.text() : CONTENT_TYPES[type];
    if (contentType === undefined) throw new Error(`unknown content type number ${type}`);
    const expiresAfterMs = (form & EXPIRES) === 0 ? 0 : reader.varint();
    const key = (form & KEYED) === 0 ? undefined : reader.text();
    const payload = reader.bytes();
    const place = { ordinal, streamId, sequence };
    records.push(new BlockRecord(place, contentType, expiresAfterMs, key, payload));
  }
  if (records.length === 0) throw new Error("block without records");
  return records;
}

function putText(into: Buffer, at: number, text: string): number {
  const bytes = Buffer.byteLength(text, "utf8");
  const start = putVarint(into, at, bytes);
  into.write(text, start, "utf8");
  return start + bytes;
}
