import type { Marks, StreamMarks } from "../platform/uplink-connection.ts";
import { type SequenceRange, SequenceRanges } from "./sequence-ranges.ts";
import { formatTimestamp, parseTimestamp } from "./timestamp.ts";

const AGENT_ID = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/;
const STREAM_BYTES_MAX = 1_024;
const STREAMS_MAX = 10_000;
const REPLY_TO_MAX = 128;

/** What an agent asks after an outage: which updates of these streams have you got? */
export interface MarksRequest {
  readonly agent: string;
  /**
   * Streams asked about. The number is the first sequence that the agent still holds or will give next: nothing
   * below it will come any more. Undefined where the agent does not say.
   */
  readonly streams: ReadonlyMap<string, number | undefined>;
  /** Comes back in the answer, where questions and answers travel apart (MQTT). */
  readonly replyTo?: string;
}

/** The answer to a {@link MarksRequest}. */
export interface MarksAnswer {
  readonly agent?: string;
  readonly marks: Marks;
  /** What else the receiver understands: `patch`, states as differences. */
  readonly accepts?: readonly string[];
  readonly replyTo?: string;
}

/** A message of the sync protocol is not as it should be; `code` is stable. */
export class SyncFormatError extends Error {
  override readonly name = "SyncFormatError";
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** @returns whether the text may be an agent's id */
export function isAgentId(text: unknown): text is string {
  return typeof text === "string" && AGENT_ID.test(text);
}

/** @returns whether the text may name a stream: 1 to 1,024 bytes without control characters */
export function isStreamName(text: unknown): text is string {
  return (
    typeof text === "string" &&
    text.length > 0 &&
    text.length <= STREAM_BYTES_MAX &&
    Buffer.byteLength(text) <= STREAM_BYTES_MAX &&
    !/\p{Cc}/u.test(text)
  );
}

/** `{"agent", "streams": {name: first} | [names], "replyTo"?}`; names alone where no stream has a first. */
export function encodeMarksRequest({ agent, streams, replyTo }: MarksRequest): string {
  const told = [...streams].every(([, first]) => first !== undefined);
  return JSON.stringify({
    agent,
    streams: told && streams.size > 0 ? Object.fromEntries(streams) : [...streams.keys()],
    ...(replyTo === undefined ? {} : { replyTo }),
  });
}

/** @throws SyncFormatError `sync.request-malformed` */
export function parseMarksRequest(text: string): MarksRequest {
  const document = parseObject(text, "sync.request-malformed");
  const { agent, streams, replyTo } = document;
  if (!isAgentId(agent)) return badRequest("agent has to be an agent's id");
  if (replyTo !== undefined && (typeof replyTo !== "string" || replyTo.length > REPLY_TO_MAX))
    return badRequest(`replyTo has to be a text of at most ${REPLY_TO_MAX} characters`);
  if (typeof streams !== "object" || streams === null)
    return badRequest("streams has to be a list of names, or an object of name and first sequence");
  const pairs: [string, unknown][] = Array.isArray(streams)
    ? streams.map((name) => [name as string, undefined])
    : Object.entries(streams);
  if (pairs.length > STREAMS_MAX)
    return badRequest(`at most ${STREAMS_MAX} streams in one question`);
  const wanted = new Map<string, number | undefined>();
  for (const [name, first] of pairs) {
    if (!isStreamName(name)) return badRequest("a stream has to have a name of 1 to 1024 bytes");
    if (first !== undefined && !isSequence(first))
      return badRequest(`the first sequence of ${name} has to be a whole number from 1`);
    wanted.set(name, first);
  }
  return { agent, streams: wanted, ...(replyTo === undefined ? {} : { replyTo }) };
}

/** `{"agent", "marks": {stream: {"through", "ranges": [[first, last]…], "lastObservedAt"?}}, "accepts"?, "replyTo"?}` */
export function encodeMarksAnswer({ agent, marks, accepts, replyTo }: MarksAnswer): string {
  const streams = [...marks].map(([name, { through, ranges, lastObservedAtMs: lastMs }]) => [
    name,
    {
      through,
      ranges,
      ...(lastMs === undefined ? {} : { lastObservedAt: formatTimestamp(lastMs) }),
    },
  ]);
  return JSON.stringify({
    agent,
    marks: Object.fromEntries(streams) as unknown,
    accepts,
    replyTo,
  });
}

/**
 * Reads an answer. Anything in it that is not as it should be spoils it: marks decide what is never sent.
 * @throws SyncFormatError `sync.answer-malformed`
 */
export function parseMarksAnswer(text: string): MarksAnswer {
  const { agent, marks, accepts, replyTo } = parseObject(text, "sync.answer-malformed");
  if (agent !== undefined && !isAgentId(agent)) return badAnswer("agent has to be an agent's id");
  if (typeof marks !== "object" || marks === null || Array.isArray(marks))
    return badAnswer("marks has to be an object of stream and marks");
  const known = new Map<string, StreamMarks>();
  for (const [name, value] of Object.entries(marks as Record<string, unknown>)) {
    try {
      known.set(name, parseStreamMarks(value));
    } catch (error) {
      return badAnswer(
        `marks of ${name}: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }
  return {
    ...(agent === undefined ? {} : { agent }),
    marks: known,
    ...(isTextList(accepts) ? { accepts } : {}),
    ...(typeof replyTo === "string" ? { replyTo } : {}),
  };
}

function parseStreamMarks(value: unknown): StreamMarks {
  const { through, ranges = [], lastObservedAt } = (value ?? {}) as Record<string, unknown>;
  if (typeof through !== "number") throw new RangeError("through is missing");
  if (!Array.isArray(ranges)) throw new RangeError("ranges has to be a list");
  const pairs = ranges.map((range: unknown): SequenceRange => {
    const [first, last] = Array.isArray(range) ? (range as unknown[]) : [];
    if (typeof first !== "number" || typeof last !== "number")
      throw new RangeError("a range has to be [first, last]");
    return [first, last];
  });
  const marks = SequenceRanges.fromMarks({ through, ranges: pairs }, STREAMS_MAX).marks();
  if (lastObservedAt === undefined) return marks;
  const lastObservedAtMs =
    typeof lastObservedAt === "string" ? parseTimestamp(lastObservedAt) : undefined;
  if (lastObservedAtMs === undefined)
    throw new RangeError("lastObservedAt has to be a time like 2026-11-22T16:32:14.781Z");
  return { ...marks, lastObservedAtMs };
}

function isTextList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((each) => typeof each === "string");
}

function badRequest(message: string): never {
  throw new SyncFormatError("sync.request-malformed", message);
}

function badAnswer(message: string): never {
  throw new SyncFormatError("sync.answer-malformed", message);
}

/** @returns whether the value may be an update's sequence */
export function isSequence(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 1;
}

function parseObject(text: string, code: string): Record<string, unknown> {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (error) {
    throw new SyncFormatError(code, `not JSON: ${error instanceof Error ? error.message : ""}`);
  }
  if (typeof document !== "object" || document === null || Array.isArray(document))
    throw new SyncFormatError(code, "not a JSON object");
  return document as Record<string, unknown>;
}
