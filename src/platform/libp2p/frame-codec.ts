import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Frame, FrameSchema, RefusalSchema } from "../../wire/agent_mesh/v1/messaging_pb.ts";

/** Bytes that a frame may have beyond its payload: tags, id and length. */
export const FRAME_OVERHEAD_BYTES = 16;
/** Bytes that a refusal may have: its texts, each character three bytes at most, and what frames them. */
export const REFUSAL_BYTES_MAX = 1_024;
const REFUSAL_CODE_MAX = 64;
const REFUSAL_DETAIL_MAX = 256;
const TAGS = { message: 0x12, request: 0x1a, response: 0x22 } as const;
const KINDS = new Map<number, keyof typeof TAGS>([
  [TAGS.message, "message"],
  [TAGS.request, "request"],
  [TAGS.response, "response"],
]);
const ID_TAG = 0x08;

/** What a frame carries, once it is read. */
export type FrameBody =
  | { readonly kind: keyof typeof TAGS; readonly id: number; readonly payload: Uint8Array }
  | {
      readonly kind: "refusal";
      readonly id: number;
      readonly code: string;
      readonly detail: string;
    };

/** A frame that breaks the format; whoever sent it loses its stream. */
export class FrameError extends Error {
  override readonly name = "FrameError";
  readonly offence: "malformed" | "oversize";
  constructor(offence: FrameError["offence"], message: string) {
    super(message);
    this.offence = offence;
  }
}

/**
 * Everything of a frame (`agent_mesh.v1.Frame`) that comes before its payload, its length as a varint first. It is
 * what the generated encoder would write, made by hand because it is done for every message.
 */
export function frameHeader(kind: keyof typeof TAGS, id: number, payloadBytes: number): Uint8Array {
  const idBytes = id === 0 ? 0 : 1 + varintBytes(id);
  const bodyBytes = idBytes + 1 + varintBytes(payloadBytes) + payloadBytes;
  const header = new Uint8Array(varintBytes(bodyBytes) + bodyBytes - payloadBytes);
  let at = putVarint(header, 0, bodyBytes);
  if (id !== 0) {
    header[at++] = ID_TAG;
    at = putVarint(header, at, id);
  }
  header[at++] = TAGS[kind];
  putVarint(header, at, payloadBytes);
  return header;
}

/** What of a refusal is told to the other side: text that is not too long and can be written as UTF-8. */
export function refusalTexts({ code, message }: { code: string; message: string }): {
  code: string;
  detail: string;
} {
  return {
    code: code.slice(0, REFUSAL_CODE_MAX).toWellFormed(),
    detail: message.slice(0, REFUSAL_DETAIL_MAX).toWellFormed(),
  };
}

/** A whole frame that says no. */
export function refusalFrame(id: number, code: string, message: string): Uint8Array {
  const refusal = create(RefusalSchema, refusalTexts({ code, message }));
  const body = toBinary(
    FrameSchema,
    create(FrameSchema, { id, body: { case: "refusal", value: refusal } }),
  );
  const frame = new Uint8Array(varintBytes(body.length) + body.length);
  frame.set(body, putVarint(frame, 0, body.length));
  return frame;
}

/** @param body a frame without its length @throws FrameError */
export function readFrameBody(body: Uint8Array): FrameBody {
  return readPlain(body) ?? readAny(body);
}

/** The form that {@link frameHeader} writes; undefined for any other, which may be right all the same. */
function readPlain(body: Uint8Array): FrameBody | undefined {
  let at = 0;
  let id = 0;
  if (body[0] === ID_TAG) {
    const read = readVarint(body, 1);
    if (read === undefined) return undefined;
    [id, at] = read;
  }
  const kind = KINDS.get(body[at] ?? 0);
  const length = readVarint(body, at + 1);
  if (kind === undefined || length === undefined || length[1] + length[0] !== body.length)
    return undefined;
  return { kind, id, payload: body.subarray(length[1]) };
}

function readAny(bytes: Uint8Array): FrameBody {
  let frame: Frame;
  try {
    frame = fromBinary(FrameSchema, bytes);
  } catch (error) {
    throw new FrameError("malformed", `a frame can not be read: ${(error as Error).message}`);
  }
  const { id, body } = frame;
  if (body.case === undefined) throw new FrameError("malformed", "a frame says nothing");
  if (body.case === "refusal") {
    const { code, detail: message } = body.value;
    return { kind: "refusal", id, ...refusalTexts({ code, message }) };
  }
  return { kind: body.case, id, payload: body.value };
}

/** @returns how many bytes a number below 2^32 takes as a varint */
export function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes++;
  return bytes;
}

/** @returns the place behind it */
export function putVarint(into: Uint8Array, offset: number, value: number): number {
  let at = offset;
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) into[at++] = (rest % 0x80) | 0x80;
  into[at++] = rest;
  return at;
}

/** @returns the value and the place behind it; undefined when the bytes end within it or it is past 2^32 */
export function readVarint(
  bytes: Uint8Array,
  offset: number,
): readonly [value: number, next: number] | undefined {
  let value = 0;
  let factor = 1;
  for (let at = offset; at < offset + 5; at++) {
    const byte = bytes[at];
    if (byte === undefined) return undefined;
    value += (byte & 0x7f) * factor;
    if (byte < 0x80) return value <= 0xffff_ffff ? [value, at + 1] : undefined;
    factor *= 0x80;
  }
  return undefined;
}
