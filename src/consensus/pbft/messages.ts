import { type ByteReader, ByteWriter, decodeAll, MalformedError } from "./bytes.ts";
import { type Certificate, readCertificate, writeCertificate } from "./certificate.ts";
import type { Group } from "./group.ts";
import type { PbftOptions } from "./options.ts";
import { readVote, type Vote, writeVote } from "./vote.ts";

/** Slots that one status tells about. */
export const STATUS_SLOTS_MAX = 128;

/** How far a replica is: others send what it lacks. */
export interface Status {
  readonly view: number;
  /** It has left the view before this one, and waits for this one to begin. */
  readonly isPending: boolean;
  readonly stable: number;
  readonly executed: number;
  /** Changes with each status, so that others share the answers among them. */
  readonly round: number;
  /** For the sequence numbers after `executed`: see `SlotLevel`. */
  readonly levels: Uint8Array;
}

/** What a replica asks others for. */
export type Fetch =
  | { readonly what: "batch"; readonly sequence: number; readonly digest: string }
  | { readonly what: "manifest"; readonly sequence: number }
  | { readonly what: "chunk"; readonly sequence: number; readonly index: number };

/** What replicas say to each other. Parts that take work to read are left as bytes until it is known that they matter. */
export type Message =
  /** A request of a client, handed on. */
  | { readonly kind: "request"; readonly bytes: Uint8Array }
  /** Without a batch it only tells what the primary signed. */
  | { readonly kind: "pre-prepare"; readonly vote: Vote; readonly batch: Uint8Array | undefined }
  /** Prepare, commit or checkpoint. */
  | { readonly kind: "vote"; readonly vote: Vote }
  | { readonly kind: "view-change"; readonly bytes: Uint8Array }
  | { readonly kind: "new-view"; readonly bytes: Uint8Array }
  /** The vote is for the digest of `content`. */
  | {
      readonly kind: "status";
      readonly vote: Vote;
      readonly content: Uint8Array;
      readonly status: Status;
    }
  | {
      readonly kind: "fetch";
      readonly vote: Vote;
      readonly content: Uint8Array;
      readonly fetch: Fetch;
    }
  /** Proves itself: a quorum of commits, and the batch. */
  | { readonly kind: "decision"; readonly certificate: Certificate; readonly batch: Uint8Array }
  /** Known by its digest. */
  | { readonly kind: "batch"; readonly sequence: number; readonly batch: Uint8Array }
  /** Proves itself: a quorum of checkpoints. */
  | { readonly kind: "stable"; readonly certificate: Certificate }
  /** Digests of a state's chunks; known by its own digest, which is that of the checkpoint. */
  | { readonly kind: "manifest"; readonly sequence: number; readonly manifest: Uint8Array }
  /** Known by its digest in the manifest. */
  | {
      readonly kind: "chunk";
      readonly sequence: number;
      readonly index: number;
      readonly chunk: Uint8Array;
    };

const KINDS = [
  "request",
  "pre-prepare",
  "vote",
  "view-change",
  "new-view",
  "status",
  "fetch",
  "decision",
  "batch",
  "stable",
  "manifest",
  "chunk",
] as const satisfies readonly Message["kind"][];
const KIND_CODES = new Map<Message["kind"], number>(KINDS.map((kind, code) => [kind, code]));
const FETCHES = ["batch", "manifest", "chunk"] as const satisfies readonly Fetch["what"][];
/** Signature and numbers of one name in a certificate, at most. */
const NAME_BYTES = 136;
const VOTE_BYTES = 256;

const QUESTIONS: ReadonlySet<number | undefined> = new Set([
  KIND_CODES.get("status"),
  KIND_CODES.get("fetch"),
]);

/** @returns whether somebody asks for what it lacks; the rest of the message may be anything */
export function isQuestion(bytes: Uint8Array): boolean {
  return QUESTIONS.has(bytes[0]);
}

/** Largest message: a new view, or a batch with its certificate. */
export function messageBytesMax(options: PbftOptions, group: Group): number {
  const certificateBytes = VOTE_BYTES + group.size * NAME_BYTES;
  const changeBytes = (options.windowSize + 2) * certificateBytes;
  const newViewBytes = group.size * changeBytes + options.windowSize * NAME_BYTES;
  const largestContent = Math.max(options.batchBytesMax, options.chunkBytes);
  return Math.max(newViewBytes, largestContent + certificateBytes) + VOTE_BYTES;
}

/** The part of a status that its vote is for. */
export function statusContent(status: Status): Uint8Array {
  const { view, isPending, stable, executed, round, levels } = status;
  return new ByteWriter(64 + levels.length)
    .u53(view)
    .u8(isPending ? 1 : 0)
    .u53(stable)
    .u53(executed)
    .u53(round)
    .sized(levels)
    .finish();
}

/** The part of a fetch that its vote is for. */
export function fetchContent(fetch: Fetch): Uint8Array {
  const writer = new ByteWriter(64).u8(FETCHES.indexOf(fetch.what)).u53(fetch.sequence);
  if (fetch.what === "batch") writer.digest(fetch.digest);
  if (fetch.what === "chunk") writer.u32(fetch.index);
  return writer.finish();
}

/** Encodes a message. */
export function encodeMessage(message: Message): Uint8Array {
  const writer = new ByteWriter(512).u8(KIND_CODES.get(message.kind) ?? 0);
  switch (message.kind) {
    case "request":
    case "view-change":
    case "new-view":
      writer.raw(message.bytes);
      break;
    case "pre-prepare":
      writeVote(writer, message.vote).u8(message.batch === undefined ? 0 : 1);
      if (message.batch !== undefined) writer.raw(message.batch);
      break;
    case "vote":
      writeVote(writer, message.vote);
      break;
    case "status":
    case "fetch":
      writeVote(writer, message.vote).raw(message.content);
      break;
    case "decision":
      writeCertificate(writer, message.certificate).raw(message.batch);
      break;
    case "batch":
      writer.u53(message.sequence).raw(message.batch);
      break;
    case "stable":
      writeCertificate(writer, message.certificate);
      break;
    case "manifest":
      writer.u53(message.sequence).raw(message.manifest);
      break;
    case "chunk":
      writer.u53(message.sequence).u32(message.index).raw(message.chunk);
      break;
  }
  return writer.finish();
}

/** @returns the message, or undefined when it is none, or breaks a bound; never throws */
export function decodeMessage(
  bytes: Uint8Array,
  bytesMax: number,
  membersMax: number,
): Message | undefined {
  if (bytes.length > bytesMax) return undefined;
  return decodeAll(bytes, (reader) => readMessage(reader, membersMax));
}

function readMessage(reader: ByteReader, membersMax: number): Message {
  const kind = KINDS[reader.u8()];
  if (kind === undefined) throw new MalformedError("no such kind of message");
  switch (kind) {
    case "request":
    case "view-change":
    case "new-view":
      return { kind, bytes: reader.rest() };
    case "pre-prepare": {
      const vote = readVote(reader);
      return { kind, vote, batch: reader.u8() === 0 ? undefined : reader.rest() };
    }
    case "vote":
      return { kind, vote: readVote(reader) };
    case "status": {
      const vote = readVote(reader);
      const content = reader.rest();
      return { kind, vote, content, status: within(content, readStatus) };
    }
    case "fetch": {
      const vote = readVote(reader);
      const content = reader.rest();
      return { kind, vote, content, fetch: within(content, readFetch) };
    }
    case "decision": {
      const certificate = readCertificate(reader, "commit", membersMax);
      return { kind, certificate, batch: reader.rest() };
    }
    case "batch":
      return { kind, sequence: reader.u53(), batch: reader.rest() };
    case "stable":
      return { kind, certificate: readCertificate(reader, "checkpoint", membersMax) };
    case "manifest":
      return { kind, sequence: reader.u53(), manifest: reader.rest() };
    case "chunk":
      break;
  }
  return { kind, sequence: reader.u53(), index: reader.u32(), chunk: reader.rest() };
}

function readStatus(reader: ByteReader): Status {
  return {
    view: reader.u53(),
    isPending: reader.u8() === 1,
    stable: reader.u53(),
    executed: reader.u53(),
    round: reader.u53(),
    levels: reader.sized(STATUS_SLOTS_MAX),
  };
}

function readFetch(reader: ByteReader): Fetch {
  const what = FETCHES[reader.u8()];
  if (what === undefined) throw new MalformedError("no such thing to fetch");
  const sequence = reader.u53();
  if (what === "batch") return { what, sequence, digest: reader.digest() };
  return what === "manifest" ? { what, sequence } : { what, sequence, index: reader.u32() };
}

function within<T>(content: Uint8Array, read: (reader: ByteReader) => T): T {
  const value = decodeAll(content, read);
  if (value === undefined) throw new MalformedError("what the vote is for is malformed");
  return value;
}
