import { type ByteReader, ByteWriter, decodeAll, MalformedError } from "./bytes.ts";
import type { Group } from "./group.ts";

/** Longest name of a client. */
export const CLIENT_BYTES_MAX = 64;
/** Longest signature under a request. */
const SIGNATURE_BYTES_MAX = 128;

/** What a client wants executed. Its timestamp grows with each of its requests, and one of them is under way at a time. */
export interface Request {
  readonly client: string;
  /** A safe whole number; time of day or a counter. */
  readonly timestamp: number;
  /** Means something to the application only. */
  readonly operation: Uint8Array;
  readonly signature: Uint8Array;
  /** All of the above, as it travels. */
  readonly bytes: Uint8Array;
}

/** What the client signs. */
export function requestContent(
  group: Group,
  request: Omit<Request, "bytes" | "signature">,
): Uint8Array {
  return writeContent(new ByteWriter(128).raw(group.id), request).finish();
}

/**
 * Makes a request, as clients do. Clients send it to the primary, and to all replicas when no answer comes.
 * @param sign see `requestSigner`
 */
export function makeRequest(
  group: Group,
  request: Omit<Request, "bytes" | "signature">,
  sign: (bytes: Uint8Array) => Uint8Array,
): Request {
  const signature = sign(requestContent(group, request));
  const bytes = writeContent(new ByteWriter(), request).sized(signature).finish();
  return { ...request, signature, bytes };
}

/** @returns undefined when the bytes are no request or larger than `bytesMax` */
export function decodeRequest(bytes: Uint8Array, bytesMax: number): Request | undefined {
  if (bytes.length > bytesMax) return undefined;
  return decodeAll(bytes, (reader) => readRequest(reader, bytes));
}

/** @throws MalformedError */
export function requestFrom(bytes: Uint8Array, bytesMax: number): Request {
  const request = decodeRequest(bytes, bytesMax);
  if (request === undefined) throw new MalformedError("a request is none");
  return request;
}

function readRequest(reader: ByteReader, bytes: Uint8Array): Request {
  const client = reader.text(CLIENT_BYTES_MAX);
  if (client === "") throw new MalformedError("a client has a name");
  const timestamp = reader.u53();
  const operation = reader.sized(bytes.length);
  const signature = reader.sized(SIGNATURE_BYTES_MAX);
  return { client, timestamp, operation, signature, bytes };
}

function writeContent(
  writer: ByteWriter,
  { client, timestamp, operation }: Omit<Request, "bytes" | "signature">,
): ByteWriter {
  return writer.text(client).u53(timestamp).sized(operation);
}
