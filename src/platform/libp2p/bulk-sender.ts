import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Stream } from "@libp2p/interface";
import {
  BulkAnswerSchema,
  BulkOfferSchema,
  BulkReceiptSchema,
  type Refusal,
} from "../../wire/agent_mesh/v1/messaging_pb.ts";
import { type BulkSource, NetworkError } from "../network.ts";
import { TurnReader, withLength } from "./bulk-wire.ts";

/** Read and handed to the stream at once. */
const CHUNK_BYTES = 65_536;

/**
 * Sends content over a stream of its own: offer, answer with an offset, raw bytes, receipt
 * (`proto/agent_mesh/v1/messaging.proto`).
 * @param idleTimeoutMs how long the other side may let the transfer stand still
 * @throws NetworkError
 */
export async function sendBulk(
  stream: Stream,
  source: BulkSource,
  idleTimeoutMs: number,
  onProgress: (bytes: number) => void,
): Promise<void> {
  const { name, sizeBytes, sha256 } = source;
  const watch = new StallWatch(stream, idleTimeoutMs);
  try {
    const reader = new TurnReader(stream);
    const offer = create(BulkOfferSchema, { name, size: BigInt(sizeBytes), sha256 });
    stream.send(withLength(toBinary(BulkOfferSchema, offer)));
    const answer = fromBinary(BulkAnswerSchema, await reader.message());
    refuse(answer.refusal);
    const from = Number(answer.offset);
    if (from > sizeBytes)
      throw new NetworkError("network.closed", `the peer wants byte ${from} of ${sizeBytes}`);
    for (let offset = from; offset < sizeBytes; ) {
      onProgress(offset);
      const read = source.read(offset, Math.min(CHUNK_BYTES, sizeBytes - offset));
      const bytes = read instanceof Promise ? await read : read;
      if (bytes.length === 0 || bytes.length > sizeBytes - offset)
        throw new NetworkError("network.closed", `the source gave ${bytes.length} bytes`);
      offset += bytes.length;
      if (!stream.send(bytes)) await drained(stream);
      watch.moved();
    }
    const receipt = fromBinary(BulkReceiptSchema, await reader.message());
    refuse(receipt.refusal);
    onProgress(sizeBytes);
    await stream.close();
  } catch (error) {
    const cause = watch.expired ?? asNetworkError(error);
    stream.abort(cause);
    throw cause;
  } finally {
    watch.end();
  }
}

function refuse(refusal: Refusal | undefined): void {
  if (refusal === undefined) return;
  const { code, detail } = refusal;
  throw new NetworkError("network.refused", `${code}: ${detail}`, { refusal: code });
}

function asNetworkError(error: unknown): NetworkError {
  if (error instanceof NetworkError) return error;
  return new NetworkError("network.closed", "the bulk transfer broke off", { cause: error });
}

/** `onDrain()` of the stream resolves at once after its first time, so the event is waited for afresh. */
function drained(stream: Stream): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (): void => {
      stream.removeEventListener("drain", done);
      stream.removeEventListener("close", closed);
      resolve();
    };
    const closed = (): void => {
      stream.removeEventListener("drain", done);
      reject(new NetworkError("network.closed", "the bulk stream was closed"));
    };
    stream.addEventListener("drain", done);
    stream.addEventListener("close", closed, { once: true });
  });
}

/** Gives a transfer up that stands still. */
export class StallWatch {
  expired: NetworkError | undefined;
  readonly #timer: NodeJS.Timeout;

  constructor(stream: Stream, idleTimeoutMs: number) {
    this.#timer = setTimeout(() => {
      this.expired = new NetworkError("network.timeout", `no progress in ${idleTimeoutMs} ms`);
      stream.abort(this.expired);
    }, idleTimeoutMs);
  }

  moved(): void {
    this.#timer.refresh();
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}
