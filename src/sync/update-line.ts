import type { OutboundUpdate } from "../platform/uplink-connection.ts";
import { parseExactly } from "./exact-json.ts";
import { isAgentId, isSequence, isStreamName } from "./marks-wire.ts";
import { isObject, type JsonObject } from "./merge-patch.ts";
import { formatTimestamp, parseTimestamp } from "./timestamp.ts";

const KEY_LENGTH_MAX = 1_024;
const CONTENT_TYPE_LENGTH_MAX = 256;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;
const CONTROL = /\p{Cc}/u;
const JSON_TYPE = /^application\/(?:[\w.+-]+\+)?json\b/i;

/** A state given as its difference (RFC 7396) from the update of this sequence in the same stream. */
export interface StatePatch {
  readonly base: number;
  readonly merge: JsonObject;
}

/** What an update says, whole: JSON text, or base64 of any other bytes. */
export interface ContentText {
  readonly kind: "json" | "base64";
  readonly text: string;
}

/** What an update says, whole or as a difference. */
export type UpdateContent = ContentText | { readonly kind: "patch"; readonly patch: StatePatch };

/** An update as it came over the wire, checked. */
export interface WireUpdate {
  readonly id: string;
  readonly agentId: string;
  readonly stream: string;
  readonly sequence: number;
  readonly observedAtMs: number;
  readonly observedAtTrusted: boolean;
  readonly contentType: string;
  /** Marks a state-like update, of which only the newest matters. */
  readonly key?: string;
  readonly content: UpdateContent;
}

/** A line can not be taken. `id` is there where it could be told which update it was meant to be. */
export class UpdateLineError extends Error {
  override readonly name = "UpdateLineError";
  /** `update.malformed` without an id, `update.invalid` with one. */
  readonly code: "update.malformed" | "update.invalid";
  readonly id: string | undefined;
  constructor(message: string, id?: string) {
    super(message);
    this.code = id === undefined ? "update.malformed" : "update.invalid";
    this.id = id;
  }
}

/**
 * The update as one line of JSON without its line feed: `{id, stream, sequence, observedAt, observedAtTrusted,
 * contentType, key?}` and one of `payload` (the parsed JSON, or the text), `payloadBase64` (anything else) and
 * `patch: {base, merge}`. JSON payloads are passed on as they are, to the digit. With
 * `patch` the payload stays behind; `content` says what the payload is, where that is known already; `keyless`
 * leaves the key out.
 */
export function encodeUpdateLine(
  update: OutboundUpdate,
  options: {
    readonly patch?: StatePatch;
    readonly content?: ContentText;
    readonly keyless?: boolean;
  } = {},
): string {
  const { id, stream, sequence, contentType, observedAtTrusted } = update;
  const { patch, content, keyless = false } = options;
  const head = JSON.stringify({
    id,
    stream,
    sequence,
    observedAt: formatTimestamp(update.observedAtMs),
    observedAtTrusted,
    contentType,
    key: keyless ? undefined : update.key,
    patch,
  });
  return patch === undefined
    ? `${head.slice(0, -1)},${contentMember(content ?? contentOf(update))}}`
    : head;
}

/** @returns what the bytes are on the wire: JSON where type and bytes say so, text, or base64 */
export function contentOf({
  payload,
  contentType,
}: Pick<OutboundUpdate, "payload" | "contentType">): ContentText {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  const text = bytes.toString("utf8");
  // What is no UTF-8 comes back longer or shorter, or as replacement characters.
  if (text.includes("\uFFFD") && !Buffer.from(text, "utf8").equals(bytes))
    return { kind: "base64", text: bytes.toString("base64") };
  if (!JSON_TYPE.test(contentType)) return { kind: "json", text: JSON.stringify(text) };
  try {
    const value: unknown = /[\r\n]/.test(text) ? parseExactly(text) : JSON.parse(text);
    return { kind: "json", text: /[\r\n]/.test(text) ? JSON.stringify(value) : text };
  } catch {
    return { kind: "json", text: JSON.stringify(text) };
  }
}

/** @returns the member of a line that holds the content */
export function contentMember({ kind, text }: ContentText): string {
  return kind === "json" ? `"payload":${text}` : `"payloadBase64":"${text}"`;
}

/** Reads one line. @throws UpdateLineError saying which member is wrong */
export function parseUpdateLine(line: string): WireUpdate {
  let document: unknown;
  try {
    document = parseExactly(line);
  } catch (error) {
    // A document that is nested thousands deep is a RangeError.
    throw new UpdateLineError(`not JSON: ${error instanceof Error ? error.message : ""}`);
  }
  if (typeof document !== "object" || document === null || Array.isArray(document))
    throw new UpdateLineError("not a JSON object");
  const members = document as Record<string, unknown>;
  const identity = identityOf(members);
  const fail = (message: string): never => {
    throw new UpdateLineError(message, identity.id);
  };
  const { observedAt, observedAtTrusted = true, contentType, key } = members;
  const observedAtMs = typeof observedAt === "string" ? parseTimestamp(observedAt) : undefined;
  if (observedAtMs === undefined)
    return fail("observedAt has to be a time like 2026-11-22T16:32:14.781Z");
  if (typeof observedAtTrusted !== "boolean")
    return fail("observedAtTrusted has to be true or false");
  if (!isContentType(contentType))
    return fail(`contentType has to be a text of at most ${CONTENT_TYPE_LENGTH_MAX} characters`);
  if (key !== undefined && (typeof key !== "string" || key.length > KEY_LENGTH_MAX))
    return fail(`key has to be a text of at most ${KEY_LENGTH_MAX} characters`);
  return {
    ...identity,
    observedAtMs,
    observedAtTrusted,
    contentType,
    ...(key === undefined ? {} : { key }),
    content: readContent(members, identity.sequence, fail),
  };
}

/** @returns whether the value may be a content type */
export function isContentType(value: unknown): value is string {
  return (
    typeof value === "string" && value.length <= CONTENT_TYPE_LENGTH_MAX && !CONTROL.test(value)
  );
}

/** Takes `agentId/stream/sequence` apart. @throws UpdateLineError `update.malformed` */
export function identityOf({
  id,
  stream,
  sequence,
}: {
  readonly id?: unknown;
  readonly stream?: unknown;
  readonly sequence?: unknown;
}): { id: string; agentId: string; stream: string; sequence: number } {
  if (typeof id !== "string") throw new UpdateLineError("id is missing");
  if (!isStreamName(stream))
    throw new UpdateLineError("stream has to be a name of 1 to 1024 bytes");
  if (!isSequence(sequence))
    throw new UpdateLineError("sequence has to be a whole number from 1 to 2^53 - 1");
  const agentId = id.slice(0, Math.max(0, id.indexOf("/")));
  if (!isAgentId(agentId) || id !== `${agentId}/${stream}/${sequence}`)
    throw new UpdateLineError("id has to be agentId/stream/sequence");
  return { id, agentId, stream, sequence };
}

function readContent(
  { payload, payloadBase64, patch }: Readonly<Record<string, unknown>>,
  sequence: number,
  fail: (message: string) => never,
): UpdateContent {
  const given = [payload, payloadBase64, patch].filter((member) => member !== undefined);
  if (given.length !== 1)
    return fail("exactly one of payload, payloadBase64 and patch has to be there");
  if (payload !== undefined) {
    try {
      return { kind: "json", text: JSON.stringify(payload) };
    } catch {
      return fail("payload is nested too deeply");
    }
  }
  if (payloadBase64 !== undefined) {
    if (typeof payloadBase64 !== "string" || payloadBase64.length % 4 !== 0)
      return fail("payloadBase64 has to be base64 with its padding (RFC 4648)");
    if (!BASE64.test(payloadBase64))
      return fail("payloadBase64 has to be base64 with its padding (RFC 4648)");
    return { kind: "base64", text: payloadBase64 };
  }
  const { base, merge } = (patch ?? {}) as { base?: unknown; merge?: unknown };
  if (!isSequence(base) || base >= sequence)
    return fail("patch.base has to be the sequence of an earlier update");
  if (!isObject(merge)) return fail("patch.merge has to be an object (RFC 7396)");
  return { kind: "patch", patch: { base, merge } };
}
