/** Topic on which agents tell the fleet what happens to them. */
export const NEWS_TOPIC = "fleet/events";
/** Topic on which people who watch the fleet write to each other. */
export const NOTES_TOPIC = "fleet/notes";
/** Largest message on either. */
export const NEWS_BYTES_MAX = 2_048;

const AGENT_ID_LENGTH_MAX = 128;
const TYPE = /^[a-z][a-z-]{0,31}\.[a-z][a-z-]{0,31}$/;
const NOTE_LENGTH_MAX = 500;
const VALUES_MAX = 16;
const VALUE_LENGTH_MAX = 200;

type PlainValue = string | number | boolean;

/** Something that happened to an agent. Its author is who signed the message; `agentId` is only what it says. */
export interface News {
  readonly agentId: string;
  /** For example `uplink.down`. */
  readonly type: string;
  /** Wall clock of the agent, ms since 1970; not to be relied on. */
  readonly atMs: number;
  readonly data: Readonly<Record<string, PlainValue>>;
  /** News that the agent kept to itself since the last one, for there were too many. */
  readonly leftOut?: number;
}

/** What somebody wrote. */
export interface Note {
  readonly agentId: string;
  readonly text: string;
  readonly atMs: number;
}

/** @returns JSON of 2 KiB at most: values that are not plain are left out, long texts cut, and data last of all */
export function encodeNews(
  news: Omit<News, "data"> & { readonly data: Readonly<Record<string, unknown>> },
): Uint8Array {
  const { agentId, type, atMs, leftOut } = news;
  const head = { agentId, type, atMs, ...(leftOut !== undefined && { leftOut }) };
  const bytes = encode({ ...head, data: plain(news.data) });
  return bytes.length <= NEWS_BYTES_MAX ? bytes : encode({ ...head, data: {} });
}

/** @returns undefined for what is no news */
export function decodeNews(bytes: Uint8Array): News | undefined {
  const read = decode(bytes);
  if (read === undefined) return undefined;
  const { agentId, type, atMs, data, leftOut } = read;
  if (!isName(agentId) || typeof type !== "string" || !TYPE.test(type) || !isTime(atMs))
    return undefined;
  if (typeof data !== "object" || data === null) return undefined;
  const counted = Number.isSafeInteger(leftOut) && Number(leftOut) > 0;
  return {
    agentId,
    type,
    atMs,
    data: plain(data as Record<string, unknown>),
    ...(counted && { leftOut: Number(leftOut) }),
  };
}

/** @returns JSON; the text is cut to 500 characters */
export function encodeNote({ agentId, text, atMs }: Note): Uint8Array {
  return encode({ agentId, text: text.slice(0, NOTE_LENGTH_MAX), atMs });
}

/** @returns undefined for what is no note */
export function decodeNote(bytes: Uint8Array): Note | undefined {
  const read = decode(bytes);
  if (read === undefined) return undefined;
  const { agentId, text, atMs } = read;
  if (!isName(agentId) || typeof text !== "string" || text === "" || !isTime(atMs))
    return undefined;
  return { agentId, text: text.slice(0, NOTE_LENGTH_MAX), atMs };
}

function encode(document: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(document));
}

function decode(bytes: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  if (bytes.length > NEWS_BYTES_MAX) return undefined;
  try {
    const read: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    if (typeof read !== "object" || read === null || Array.isArray(read)) return undefined;
    return read as Readonly<Record<string, unknown>>;
  } catch {
    return undefined;
  }
}

function plain(data: Readonly<Record<string, unknown>>): Record<string, PlainValue> {
  const kept: [string, PlainValue][] = [];
  for (const [name, value] of Object.entries(data)) {
    if (kept.length === VALUES_MAX) break;
    const key = name.slice(0, 64);
    if (typeof value === "string") kept.push([key, value.slice(0, VALUE_LENGTH_MAX)]);
    else if (typeof value === "boolean" || Number.isFinite(value))
      kept.push([key, value as number | boolean]);
  }
  return Object.fromEntries(kept);
}

function isName(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= AGENT_ID_LENGTH_MAX;
}

function isTime(value: unknown): value is number {
  return Number.isSafeInteger(value);
}
