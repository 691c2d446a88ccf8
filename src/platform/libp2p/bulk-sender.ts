import type { Stream } from "@libp2p/interface";
import {
  BulkAnswerSchema,
  BulkOfferSchema,
  BulkReceiptSchema,
  type Refusal,
} from "../../wire/agent_mesh/v1/messaging_pb.ts";
import { type BulkSource, NetworkError } from "../network.ts";
import { BULK_WINDOW_BYTES, bulkMessage, readBulkMessage, TurnReader } from "./bulk-wire.ts";
import { FrameError } from "./frame-codec.ts";
import { StallWatch } from "./stall-watch.ts";
import { lazyWindow } from "./yamux-window.ts";

/** Read and handed to the stream at once: with a header of yamux exactly two messages of Noise, without a rest. */
const CHUNK_BYTES = 131_026;
/** Far more than the short messages that a receiver may send before they are read. */
const HELD_BYTES_MAX = 65_536;

/** How a sender tells how far it is. */
export interface BulkSending {
  /** How long the other side may let the transfer stand still. */
  readonly idleTimeoutMs: number;
  /** Hears how many bytes of the whole are there. */
  readonly onProgress: (bytes: number) => void;
  /** Hears of every piece that was handed to the transport. */
  readonly onSent: (bytes: number) => void;
}

/**
 * Sends content over a stream of its own: offer, answer with an offset, raw bytes against receipts
 * (`proto/agent_mesh/v1/messaging.proto`).
 * @throws NetworkError; FrameError when the peer broke the format
 */
export async function sendBulk(
  stream: Stream,
  source: BulkSource,
  sending: BulkSending,
): Promise<void> {
  const watch = new StallWatch(stream, sending.idleTimeoutMs);
  try {
    await send(stream, source, sending, watch);
    await stream.close();
  } catch (error) {
    const cause = watch.expired ?? asTold(error);
    stream.abort(cause);
    throw cause;
  } finally {
    watch.end();
  }
}

async function send(
  stream: Stream,
  source: BulkSource,
  { onProgress, onSent }: BulkSending,
  watch: StallWatch,
): Promise<void> {
  const { name, sizeBytes, sha256 } = source;
  lazyWindow(stream);
  const reader = new TurnReader(stream, HELD_BYTES_MAX);
  stream.send(bulkMessage(BulkOfferSchema, { name, size: BigInt(sizeBytes), sha256 }));
  const answer = readBulkMessage(BulkAnswerSchema, await reader.message());
  refuse(answer.refusal);
  let there = { received: within(answer.offset, 0, sizeBytes), complete: false };
  let offset = there.received;
  onProgress(offset);
  const hear = (body: Uint8Array): void => {
    there = heard(body, there.received, offset, sizeBytes);
    watch.moved();
    onProgress(there.received);
  };
  while (!there.complete) {
    const waiting =
      offset === sizeBytes || offset - there.received >= BULK_WINDOW_BYTES
        ? await reader.message()
        : reader.next();
    if (waiting !== undefined) {
      hear(waiting);
      continue;
    }
    const length = Math.min(CHUNK_BYTES, sizeBytes - offset);
    const read = source.read(offset, length);
    const bytes = read instanceof Promise ? await reader.whileOpen(read) : read;
    if (bytes.length === 0 || bytes.length > length)
      throw new NetworkError("network.closed", `the source gave ${bytes.length} bytes`);
    offset += bytes.length;
    if (!stream.send(bytes)) await drained(stream);
    onSent(bytes.length);
    watch.moved();
  }
}

function heard(
  body: Uint8Array,
  before: number,
  sent: number,
  sizeBytes: number,
): { received: number; complete: boolean } {
  const { refusal, received: bytes, complete } = readBulkMessage(BulkReceiptSchema, body);
  refuse(refusal);
  const received = within(bytes, before, sent);
  if (complete && received < sizeBytes)
    throw new FrameError("malformed", `everything is there after ${received} bytes`);
  return { received, complete };
}

function within(value: bigint, min: number, max: number): number {
  if (value < min || value > max)
    throw new FrameError("malformed", `the peer is at byte ${value}, between ${min} and ${max}`);
  return Number(value);
}

function refuse(refusal: Refusal | undefined): void {
  if (refusal === undefined) return;
  const { code, detail } = refusal;
  throw new NetworkError("network.refused", `${code}: ${detail}`, { refusal: code });
}

function asTold(error: unknown): Error {
  if (error instanceof NetworkError || error instanceof FrameError) return error;
  return new NetworkError("network.closed", "the bulk transfer broke off", { cause: error });
}

/**
 * `onDrain()` of the stream resolves at once after its first time, so the event is waited for afresh; and it comes
 * whenever something fits, so what the stream still holds is looked at too.
 */
function drained(stream: Stream): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      stream.removeEventListener("drain", drain);
      stream.removeEventListener("close", closed);
    };
    const drain = (): void =>
      // The stream itself goes on sending what it holds in a microtask after the event.
      queueMicrotask(() => {
        if (stream.writableNeedsDrain && stream.writeBufferLength > 0) return;
        stop();
        resolve();
      });
    const closed = (): void => {
      stop();
      reject(new NetworkError("network.closed", "the bulk stream was closed"));
    };
    stream.addEventListener("drain", drain);
    stream.addEventListener("close", closed);
    if (stream.status !== "open") closed();
  });
}
