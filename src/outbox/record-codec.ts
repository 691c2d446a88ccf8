import type { Update } from "./update.ts";

/**
 * How an update lies on disk: a few bytes of header, since flash wear counts every one of them, then the
 * payload. Streams, boots and content types are numbers that stand for names kept once elsewhere.
 *
 *     version and flags   1 byte   bit 7–4 version 1, 0 observedAtTrusted, 1 has expiry, 2 has key
 *     stream id           varint
 *     sequence            varint
 *     boot                varint
 *     content type        varint   0: a string follows; otherwise an index into CONTENT_TYPES
 *     observedAtMs        varint   whole milliseconds
 *     monotonicMs         varint   whole milliseconds
 *     [expiresAfterMs]    varint
 *     [key]               varint length, UTF-8
 *     payload             the rest
 */
const VERSION = 0x10;
const TRUSTED = 1;
const EXPIRES = 2;
const KEYED = 4;

const CONTENT_TYPES = [
  "",
  "text/plain",
  "application/json",
  "application/octet-stream",
  "application/cbor",
  "application/x-protobuf",
];

const scratch = Buffer.alloc(8_192);

/** What the codec needs beyond the update itself. */
export interface RecordNames {
  readonly streamId: number;
  readonly boot: number;
}

/** @returns the record of an update. */
export function encodeRecord(update: Update, names: RecordNames): Uint8Array {
  const key = update.key === undefined ? undefined : Buffer.from(update.key, "utf8");
  const contentType = CONTENT_TYPES.indexOf(update.contentType);
  const typeName = contentType > 0 ? undefined : Buffer.from(update.contentType, "utf8");
  const headerMax = 80 + (key?.length ?? 0) + (typeName?.length ?? 0);
  const header = headerMax <= scratch.length ? scratch : Buffer.alloc(headerMax);
  header[0] =
    VERSION |
    (update.observedAtTrusted ? TRUSTED : 0) |
    (update.expiresAfterMs === undefined || update.expiresAfterMs === 0 ? 0 : EXPIRES) |
    (key === undefined ? 0 : KEYED);
  let at = 1;
  at = putVarint(header, at, names.streamId);
  at = putVarint(header, at, update.sequence);
  at = putVarint(header, at, names.boot);
  if (typeName === undefined) at = putVarint(header, at, contentType);
  else {
    at = putVarint(header, at, 0);
    at = putBytes(header, at, typeName);
  }
  at = putVarint(header, at, Math.max(0, Math.floor(update.observedAtMs)));
  at = putVarint(header, at, Math.max(0, Math.floor(update.monotonicMs)));
  if (update.expiresAfterMs !== undefined && update.expiresAfterMs > 0)
    at = putVarint(header, at, Math.floor(update.expiresAfterMs));
  if (key !== undefined) at = putBytes(header, at, key);
  const record = Buffer.allocUnsafe(at + update.payload.length);
  header.copy(record, 0, 0, at);
  record.set(update.payload, at);
  return record;
}

/** A record as read, its names still numbers. */
export interface DecodedRecord extends RecordNames {
  readonly sequence: number;
  readonly contentType: string;
  readonly observedAtMs: number;
  readonly observedAtTrusted: boolean;
  readonly monotonicMs: number;
  readonly expiresAfterMs?: number;
  readonly key?: string;
  readonly payload: Uint8Array;
}

/** @throws Error when the bytes are not a record of a version that this code knows. */
export function decodeRecord(value: Uint8Array): DecodedRecord {
  const reader = new Reader(value);
  const head = reader.byte();
  if ((head & 0xf0) !== VERSION) throw new Error(`unknown record version ${head >> 4}`);
  const streamId = reader.varint();
  const sequence = reader.varint();
  const boot = reader.varint();
  const type = reader.varint();
  const contentType = type === 0 ? reader.text() : CONTENT_TYPES[type];
  if (contentType === undefined) throw new Error(`unknown content type number ${type}`);
  const observedAtMs = reader.varint();
  const monotonicMs = reader.varint();
  const expiresAfterMs = (head & EXPIRES) === 0 ? undefined : reader.varint();
  const key = (head & KEYED) === 0 ? undefined : reader.text();
  return {
    streamId,
    sequence,
    boot,
    contentType,
    observedAtMs,
    observedAtTrusted: (head & TRUSTED) !== 0,
    monotonicMs,
    ...(expiresAfterMs === undefined ? {} : { expiresAfterMs }),
    ...(key === undefined ? {} : { key }),
    payload: reader.rest(),
  };
}

function putVarint(into: Buffer, at: number, value: number): number {
  let rest = value;
  let next = at;
  while (rest >= 0x80) {
    // Values go past 32 bits (milliseconds since 1970), so no bit operators on `rest`.
    into[next++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  into[next++] = rest;
  return next;
}

function putBytes(into: Buffer, at: number, bytes: Buffer): number {
  const start = putVarint(into, at, bytes.length);
  bytes.copy(into, start);
  return start + bytes.length;
}

class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  byte(): number {
    const value = this.#bytes[this.#at++];
    if (value === undefined) throw new Error("record ends too early");
    return value;
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (let digits = 0; digits < 8; digits++) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 0x80;
    }
    throw new Error("number in record is too long");
  }

  text(): string {
    const length = this.varint();
    if (this.#at + length > this.#bytes.length) throw new Error("record ends too early");
    const text = Buffer.from(
      this.#bytes.buffer,
      this.#bytes.byteOffset + this.#at,
      length,
    ).toString("utf8");
    this.#at += length;
    return text;
  }

  rest(): Uint8Array {
    return this.#bytes.subarray(this.#at);
  }
}
