import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { Metadata } from "@grpc/grpc-js";
import { ACCEPT_ENCODING, COMPRESS_BYTES_MIN } from "./limits.ts";

const gzipOf = promisify(gzip);

/** How a server answers one call: the calls of one client may differ. */
export class Packer {
  readonly #compress: boolean;

  /** @param request metadata of the call @param gzip whether the server compresses at all */
  constructor(request: Metadata, gzip: boolean) {
    const wanted = request.get(ACCEPT_ENCODING).flatMap((value) => String(value).split(","));
    this.#compress = gzip && wanted.some((name) => name.trim() === "gzip");
  }

  /** To be sent before the first message; says how all of them are encoded. */
  headers(): Metadata {
    const metadata = new Metadata();
    if (this.#compress) metadata.set("grpc-encoding", "gzip");
    return metadata;
  }

  /** @returns what grpc-js is to send for an encoded message, compressed where that is of use */
  async pack(message: Uint8Array): Promise<Buffer> {
    const plain = bufferOf(message);
    if (!this.#compress || plain.length < COMPRESS_BYTES_MIN) return plain;
    // The fastest level: a device has better things to do, and repetition is found all the same.
    const small = await gzipOf(plain, { level: 1 });
    return small.length < plain.length ? markCompressed(small) : plain;
  }
}

/**
 * grpc-js 1.14 has no compression in its server: it puts a zero ("not compressed") and the length before what the
 * serializer gave, and copies that behind. The copying is where the zero becomes a one. A test looks at the bytes.
 */
function markCompressed(message: Buffer): Buffer {
  message.copy = (target: Uint8Array, at = 0): number => {
    if (at >= FRAME_HEAD_BYTES) target[at - FRAME_HEAD_BYTES] = 1;
    target.set(message, at);
    return message.length;
  };
  return message;
}

/** Flag and length: gRPC over HTTP/2, "Length-Prefixed-Message". */
const FRAME_HEAD_BYTES = 5;

/** @returns the same bytes, as the kind of array that grpc-js wants. */
export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
