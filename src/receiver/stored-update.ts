import type { ReceivedUpdate } from "../platform/update-sink.ts";
import { parseExactly } from "../sync/exact-json.ts";
import { formatTimestamp, parseTimestamp } from "../sync/timestamp.ts";
import { type ContentText, contentMember, type WireUpdate } from "../sync/update-line.ts";

/** An update that was just taken, before anybody wants it as a line. */
export interface TakenUpdate {
  readonly of: { readonly agentId: string; readonly stream: string };
  readonly sequence: number;
  /** The line from its sequence on. */
  readonly tail: string;
}

/** The part of a stored update that decisions are made on. */
export interface StoredFields {
  readonly observedAtMs: number | undefined;
  readonly key: string | undefined;
  readonly payload: unknown;
}

/** @returns the line from the sequence on, which is what is stored: the rest is known from the stream */
export function storedTail(update: WireUpdate, content: ContentText, receivedAtMs: number): string {
  const { sequence, observedAtMs, observedAtTrusted, contentType, key } = update;
  const keyed = key === undefined ? "" : `"key":${JSON.stringify(key)},`;
  return (
    `"sequence":${sequence},"observedAt":"${formatTimestamp(observedAtMs)}",` +
    `"observedAtTrusted":${observedAtTrusted},"receivedAt":"${formatTimestamp(receivedAtMs)}",` +
    `"contentType":${JSON.stringify(contentType)},${keyed}${contentMember(content)}}`
  );
}

/** @returns an update as it is read back */
export function receivedUpdate({ of, sequence, tail }: TakenUpdate): ReceivedUpdate {
  const { agentId, stream } = of;
  const name = JSON.stringify(stream);
  const id = `"${agentId}/${name.slice(1, -1)}/${sequence}"`;
  const line = `{"id":${id},"agent":"${agentId}","stream":${name},${tail}`;
  return { agentId, stream, sequence, line };
}

/** @returns what the tail says, or undefined when it is damaged or only holds an update's place */
export function parseTail(tail: string): StoredFields | undefined {
  if (tail === "") return undefined;
  try {
    const { observedAt, key, payload } = parseExactly(`{${tail}`) as Record<string, unknown>;
    return {
      observedAtMs: typeof observedAt === "string" ? parseTimestamp(observedAt) : undefined,
      key: typeof key === "string" ? key : undefined,
      payload,
    };
  } catch {
    return undefined;
  }
}
