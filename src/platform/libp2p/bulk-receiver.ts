import { createHash, type Hash } from "node:crypto";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Stream } from "@libp2p/interface";
import {
  BulkAnswerSchema,
  BulkOfferSchema,
  BulkReceiptSchema,
} from "../../wire/agent_mesh/v1/messaging_pb.ts";
import { type BulkOffer, type BulkSink, NetworkError, Refused } from "../network.ts";
import type { PeerId } from "../signer.ts";
import { StallWatch } from "./bulk-sender.ts";
import { TurnReader, withLength } from "./bulk-wire.ts";
import { FrameError } from "./frame-codec.ts";

const DIGEST_BYTES = 32;
const NAME_BYTES_MAX = 256;
const READ_BACK_BYTES = 1_048_576;

/**
 * Takes content on a stream that another node opened.
 * @param accept throws Refused to say no
 * @returns bytes received @throws NetworkError, FrameError when the peer broke the format, Refused
 */
export async function receiveBulk(
  stream: Stream,
  from: PeerId,
  idleTimeoutMs: number,
  accept: (offer: BulkOffer) => BulkSink | Promise<BulkSink>,
): Promise<number> {
  // Before anything is awaited: what arrives without a listener may be lost.
  const reader = new TurnReader(stream);
  const watch = new StallWatch(stream, idleTimeoutMs);
  let sink: BulkSink | undefined;
  try {
    const offer = readOffer(from, await reader.message());
    sink = await accepted(stream, offer, accept);
    const { offset } = sink;
    if (!Number.isSafeInteger(offset) || offset < 0 || offset > offer.sizeBytes)
      throw new NetworkError("network.closed", `the sink stands at byte ${offset}`);
    const hash = createHash("sha256");
    await readBack(sink, hash);
    stream.send(
      withLength(toBinary(BulkAnswerSchema, create(BulkAnswerSchema, { offset: BigInt(offset) }))),
    );
    const into = sink;
    await reader.raw(offer.sizeBytes - offset, (bytes) => {
      watch.moved();
      hash.update(bytes);
      return into.write(bytes);
    });
    if (!hash.digest().equals(offer.sha256)) throw new Refused("bulk.digest", "the digest differs");
    await sink.done();
    stream.send(withLength(toBinary(BulkReceiptSchema, create(BulkReceiptSchema, {}))));
    await stream.close();
    return offer.sizeBytes - offset;
  } catch (error) {
    sink?.broken(brokenBy(watch.expired ?? error));
    if (error instanceof Refused && sink !== undefined) {
      const refusal = { code: error.code, detail: error.message };
      stream.send(withLength(toBinary(BulkReceiptSchema, create(BulkReceiptSchema, { refusal }))));
    }
    if (error instanceof Refused) await stream.close().catch(() => undefined);
    else stream.abort(error as Error);
    throw watch.expired ?? error;
  } finally {
    watch.end();
  }
}

function readOffer(from: PeerId, bytes: Uint8Array): BulkOffer {
  try {
    const { name, size, sha256 } = fromBinary(BulkOfferSchema, bytes);
    const sizeBytes = Number(size);
    if (
      sha256.length === DIGEST_BYTES &&
      Buffer.byteLength(name) <= NAME_BYTES_MAX &&
      Number.isSafeInteger(sizeBytes)
    )
      return { from, name, sizeBytes, sha256 };
  } catch {
    // Told below, like every other offer that makes no sense.
  }
  throw new FrameError("malformed", "a bulk offer can not be read");
}

async function accepted(
  stream: Stream,
  offer: BulkOffer,
  accept: (offer: BulkOffer) => BulkSink | Promise<BulkSink>,
): Promise<BulkSink> {
  try {
    return await accept(offer);
  } catch (error) {
    const [code, detail] =
      error instanceof Refused
        ? [error.code, error.message]
        : ["service.failed", "the service failed; its own log tells why"];
    const answer = create(BulkAnswerSchema, { refusal: { code, detail } });
    stream.send(withLength(toBinary(BulkAnswerSchema, answer)));
    throw error;
  }
}

async function readBack(sink: BulkSink, hash: Hash): Promise<void> {
  if (sink.offset > 0 && sink.read === undefined)
    throw new NetworkError("network.closed", "the sink goes on, but can not read back");
  for (let at = 0; at < sink.offset; ) {
    const bytes = await sink.read?.(at, Math.min(READ_BACK_BYTES, sink.offset - at));
    if (bytes === undefined || bytes.length === 0)
      throw new NetworkError("network.closed", `the sink has nothing at byte ${at}`);
    hash.update(bytes);
    at += bytes.length;
  }
}

function brokenBy(error: unknown): NetworkError {
  if (error instanceof NetworkError) return error;
  if (error instanceof Refused)
    return new NetworkError("network.refused", error.message, { refusal: error.code });
  return new NetworkError("network.closed", "the bulk transfer broke off", { cause: error });
}
