import type { Hasher } from "../../platform/hasher.ts";
import { ByteWriter, decodeAll } from "./bytes.ts";
import type { PbftOptions } from "./options.ts";
import { type Request, requestFrom } from "./request.ts";

/** Requests that get one sequence number. One without requests is the null request of the paper: it does nothing. */
export interface Batch {
  readonly requests: readonly Request[];
  readonly bytes: Uint8Array;
  /** SHA-256 of `bytes`, so of every request with its signature. */
  readonly digest: string;
}

/** Bytes that each request takes in a batch beyond its own. */
export const REQUEST_OVERHEAD_BYTES = 4;
const COUNT_BYTES = 4;

/** Makes a batch of requests within the bounds. */
export function makeBatch(hasher: Hasher, requests: readonly Request[]): Batch {
  let length = COUNT_BYTES;
  for (const { bytes } of requests) length += REQUEST_OVERHEAD_BYTES + bytes.length;
  const writer = new ByteWriter(length).u32(requests.length);
  for (const { bytes } of requests) writer.sized(bytes);
  const bytes = writer.finish();
  return { requests, bytes, digest: hasher.sha256Hex(bytes) };
}

/** @returns undefined when the bytes are no batch, or break a bound */
export function decodeBatch(
  bytes: Uint8Array,
  hasher: Hasher,
  options: PbftOptions,
): Batch | undefined {
  const { batchBytesMax, batchRequestsMax, requestBytesMax } = options;
  if (bytes.length > batchBytesMax + COUNT_BYTES + REQUEST_OVERHEAD_BYTES) return undefined;
  const requests = decodeAll(bytes, (reader) => {
    const count = reader.count(batchRequestsMax);
    const requests: Request[] = [];
    while (requests.length < count)
      requests.push(requestFrom(reader.sized(requestBytesMax), requestBytesMax));
    return requests;
  });
  if (requests === undefined) return undefined;
  return { requests, bytes, digest: hasher.sha256Hex(bytes) };
}
