import { isUtf8 } from "node:buffer";
import type { OutboundUpdate } from "../uplink-connection.ts";

/** One value of a payload: JSON scalars, text, or bytes that are neither. */
export type PayloadScalar = number | boolean | string | Uint8Array | null;

/** A value and where in a JSON object it stands; the path is empty for a payload that is one value. */
export interface PayloadValue {
  readonly path: readonly string[];
  readonly value: PayloadScalar;
}

/** What a payload says. */
export interface PayloadValues {
  readonly values: readonly PayloadValue[];
  /** True when it does not parse as what its content type says; the one value is then what came. */
  readonly malformed: boolean;
}

/** Objects within objects up to here become paths; what lies deeper stays JSON text. */
const DEPTH_MAX = 4;
/** An object of more fields than this is one value: its JSON text. */
const FIELDS_MAX = 64;
const NUMBER = /^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$/;

/**
 * Takes a payload apart for receivers that know named scalar values only (Sparkplug metrics, Home Assistant
 * entities). JSON objects become one value per field, arrays their JSON text, text that is a number or
 * `true`/`false` that value, and anything that is not UTF-8 text stays bytes.
 */
export function payloadValues({
  payload,
  contentType,
}: Pick<OutboundUpdate, "payload" | "contentType">): PayloadValues {
  const json = isJsonType(contentType);
  if (!json && !contentType.startsWith("text/")) return whole(payload);
  if (!isUtf8(payload)) return whole(payload, json);
  const text = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString("utf8");
  if (!json) return whole(textValue(text));
  try {
    const parsed: unknown = JSON.parse(text);
    const values: PayloadValue[] = [];
    flatten(parsed, [], values);
    return values.length > FIELDS_MAX ? whole(text) : { values, malformed: false };
  } catch {
    return whole(text, true);
  }
}

function whole(value: PayloadScalar, malformed = false): PayloadValues {
  return { values: [{ path: [], value }], malformed };
}

function isJsonType(contentType: string): boolean {
  const type = contentType.split(";", 1)[0]?.trim().toLowerCase() ?? "";
  return type === "application/json" || type.endsWith("+json");
}

function textValue(text: string): PayloadScalar {
  if (NUMBER.test(text)) return Number(text);
  if (text === "true" || text === "false") return text === "true";
  return text;
}

function flatten(value: unknown, path: readonly string[], into: PayloadValue[]): void {
  // One too many is enough to know that there are too many.
  if (into.length > FIELDS_MAX) return;
  if (value === null || typeof value === "number" || typeof value === "boolean")
    into.push({ path, value });
  else if (typeof value === "string") into.push({ path, value });
  else if (Array.isArray(value) || path.length >= DEPTH_MAX)
    into.push({ path, value: JSON.stringify(value) });
  else {
    const fields = Object.entries(value as Record<string, unknown>);
    if (fields.length === 0) into.push({ path, value: "{}" });
    for (const [name, inner] of fields) flatten(inner, [...path, name], into);
  }
}
