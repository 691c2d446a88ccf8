import { createHash, type Hash } from "node:crypto";
import type { Stream } from "@libp2p/interface";
import {
  BulkAnswerSchema,
  BulkOfferSchema,
  BulkReceiptSchema,
} from "../../wire/agent_mesh/v1/messaging_pb.ts";
import { type BulkOffer, type BulkSink, NetworkError, Refused } from "../network.ts";
import type { PeerId } from "../signer.ts";
import { BULK_WINDOW_BYTES, bulkMessage, readBulkMessage, TurnReader } from "./bulk-wire.ts";
import { FrameError, refusalTexts } from "./frame-codec.ts";
import { StallWatch } from "./stall-watch.ts";
import { wideWindow } from "./yamux-window.ts";

const DIGEST_BYTES = 32;
const NAME_BYTES_MAX = 256;
const READ_BACK_BYTES = 1_048_576;
const RECEIPT_EVERY_BYTES = 524_288;
/** A window of raw bytes behind the offer. */
const HELD_BYTES_MAX = BULK_WINDOW_BYTES + 65_536;

/** What receiving needs beyond the stream. */
export interface BulkReceiving {
  readonly from: PeerId;
  /** How long the other side may let the transfer stand still. */
  readonly idleTimeoutMs: number;
  /** Throws Refused to say no. */
  readonly accept: (offer: BulkOffer) => BulkSink | Promise<BulkSink>;
  /** Hears of everything that came. */
  readonly onReceived: (bytes: number) => void;
}

/**
 * Takes content on a stream that another node opened.
 * @throws NetworkError when it broke off; FrameError when the peer broke the format; Refused when it was told no;
 *   what `accept` or the sink threw otherwise
 */
export async function receiveBulk(stream: Stream, receiving: BulkReceiving): Promise<void> {
  const transfer = new Transfer(stream, receiving);
  try {
    await transfer.run();
  } catch (error) {
    throw await transfer.broken(error);
  } finally {
    transfer.watch.end();
  }
}

class Transfer {
  readonly watch: StallWatch;
  readonly #stream: Stream;
  readonly #receiving: BulkReceiving;
  readonly #reader: TurnReader;
  #sink: BulkSink | undefined;
  #answered = false;

  constructor(stream: Stream, receiving: BulkReceiving) {
    this.#stream = stream;
    this.#receiving = receiving;
    this.#reader = new TurnReader(stream, HELD_BYTES_MAX);
    this.watch = new StallWatch(stream, receiving.idleTimeoutMs);
  }

  async run(): Promise<void> {
    const { from, accept } = this.#receiving;
    const offer = readOffer(from, await this.#reader.message());
    const accepted = accept(offer);
    this.#sink = accepted instanceof Promise ? await this.#reader.whileOpen(accepted) : accepted;
    const { offset } = this.#sink;
    if (!Number.isSafeInteger(offset) || offset < 0 || offset > offer.sizeBytes)
      throw new Error(`the sink stands at byte ${offset} of ${offer.sizeBytes}`);
    const hash = offset === 0 && this.#sink.unchecked ? undefined : createHash("sha256");
    if (hash !== undefined) await this.#readBack(this.#sink, hash);
    this.#stream.send(bulkMessage(BulkAnswerSchema, { offset: BigInt(offset) }));
    this.#answered = true;
    wideWindow(this.#stream, BULK_WINDOW_BYTES);
    await this.#take(this.#sink, offer, hash);
    if (hash?.digest().equals(offer.sha256) === false)
      throw new Refused("bulk.digest", "the digest differs");
    await this.#reader.whileOpen(Promise.resolve(this.#sink.done()));
    this.#sink = undefined;
    const received = BigInt(offer.sizeBytes);
    await this.#last(bulkMessage(BulkReceiptSchema, { received, complete: true }));
  }

  /** @returns the error as it is to be told */
  async broken(error: unknown): Promise<unknown> {
    const told = this.watch.expired ?? error;
    this.#sink?.broken(brokenBy(told));
    const peersFault = told instanceof NetworkError || told instanceof FrameError;
    if (peersFault || this.#stream.status !== "open") {
      this.#stream.abort(told instanceof Error ? told : new Error(String(told)));
      return told;
    }
    const refusal = refusalTexts(
      told instanceof Refused
        ? told
        : new Refused("service.failed", "the service failed; its own log tells why"),
    );
    await this.#last(
      this.#answered
        ? bulkMessage(BulkReceiptSchema, { refusal })
        : bulkMessage(BulkAnswerSchema, { refusal }),
    );
    return told;
  }

  async #take(sink: BulkSink, { sizeBytes }: BulkOffer, hash: Hash | undefined): Promise<void> {
    let received = sink.offset;
    let acknowledged = received;
    const count = (bytes: number): void => {
      received += bytes;
      this.watch.moved();
      this.#receiving.onReceived(bytes);
      if (received - acknowledged < RECEIPT_EVERY_BYTES) return;
      acknowledged = received;
      this.#stream.send(bulkMessage(BulkReceiptSchema, { received: BigInt(received) }));
    };
    await this.#reader.raw(sizeBytes - received, (bytes) => {
      hash?.update(bytes);
      const written = sink.write(bytes);
      if (written instanceof Promise) return written.then(() => count(bytes.length));
      count(bytes.length);
      return undefined;
    });
  }

  async #readBack(sink: BulkSink, hash: Hash): Promise<void> {
    for (let at = 0; at < sink.offset; ) {
      const read = sink.read?.(at, Math.min(READ_BACK_BYTES, sink.offset - at));
      const bytes = read instanceof Promise ? await this.#reader.whileOpen(read) : read;
      if (bytes === undefined || bytes.length === 0 || bytes.length > sink.offset - at)
        throw new Error(`the sink can not read back what it has at byte ${at}`);
      hash.update(bytes);
      at += bytes.length;
      this.watch.moved();
    }
  }

  /** Says the last word and waits until the other side has heard it: closing at once might lose it. */
  async #last(message: Uint8Array): Promise<void> {
    try {
      this.#stream.send(message);
      await this.#stream.close();
    } catch {
      // Gone meanwhile, so there is nobody to tell.
    }
    await this.#reader.end();
    this.#stream.abort(new NetworkError("network.closed", "the transfer is over"));
  }
}

function readOffer(from: PeerId, bytes: Uint8Array): BulkOffer {
  const { name, size, sha256 } = readBulkMessage(BulkOfferSchema, bytes);
  const sizeBytes = Number(size);
  if (
    sha256.length !== DIGEST_BYTES ||
    Buffer.byteLength(name) > NAME_BYTES_MAX ||
    !Number.isSafeInteger(sizeBytes)
  )
    throw new FrameError("malformed", "a bulk offer makes no sense");
  return { from, name, sizeBytes, sha256 };
}

function brokenBy(error: unknown): NetworkError {
  if (error instanceof NetworkError) return error;
  if (error instanceof Refused)
    return new NetworkError("network.refused", error.message, { refusal: error.code });
  return new NetworkError("network.closed", "the bulk transfer broke off", { cause: error });
}
