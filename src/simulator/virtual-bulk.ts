import { toHex } from "../platform/hex.ts";
import {
  type BulkOffer,
  type BulkSink,
  type BulkSource,
  NetworkError,
  Refused,
} from "../platform/network.ts";
import type { VirtualEther } from "./virtual-ether.ts";
import type { LinkEnd } from "./virtual-link.ts";
import type { VirtualNode } from "./virtual-node.ts";
import { VirtualStream } from "./virtual-stream.ts";

const CHUNK_BYTES = 65_536;
const WINDOW_BYTES = 2_097_152;
const RECEIPT_EVERY_BYTES = 262_144;
const NAME_BYTES_MAX = 256;

/** The way that bulk content takes. */
interface BulkWay {
  readonly ether: VirtualEther;
  readonly node: VirtualNode;
  readonly end: LinkEnd;
  readonly protocolId: string;
  /** @returns what takes it at the other end */
  readonly taker: (at: LinkEnd) => VirtualBulk | undefined;
}

/** What the receiver says: how much is there, or why no more is wanted. */
type Receipt =
  | { readonly received: number; readonly complete: boolean }
  | { readonly refusal: Refused };
/** What the sender says: an offer first, then content. */
type Content = BulkOffer | Uint8Array;

/** Sends content against receipts, as on the real thing. @throws NetworkError */
export async function sendBulk(
  { ether, node, end, protocolId, taker }: BulkWay,
  source: BulkSource,
  onProgress: (bytes: number) => void,
): Promise<void> {
  const { name, sizeBytes, sha256 } = source;
  if (new TextEncoder().encode(name).length > NAME_BYTES_MAX || sha256.length !== 32)
    throw new NetworkError("network.too-large", "the name or the digest of bulk content");
  const stream = new VirtualStream<Content, Receipt>(ether, end, protocolId);
  stream.open(node.settings.bulkIdleTimeoutMs, (at, other) => taker(at)?.take(other));
  try {
    stream.send({ from: node.self, name, sizeBytes, sha256 }, 64);
    let { received, complete } = told(await stream.next());
    let offset = received;
    onProgress(received);
    while (!complete) {
      if (offset === sizeBytes || offset - received >= WINDOW_BYTES) {
        ({ received, complete } = told(await stream.next()));
        onProgress(received);
        continue;
      }
      const read = source.read(offset, Math.min(CHUNK_BYTES, sizeBytes - offset));
      const bytes = read instanceof Promise ? await stream.whileOpen(read) : read;
      if (bytes.length === 0) throw new NetworkError("network.closed", "the source gave nothing");
      offset += bytes.length;
      node.tally.sentBytes += bytes.length;
      stream.send(bytes, bytes.length);
    }
  } finally {
    stream.close(new NetworkError("network.closed", "the sender ended the transfer"));
  }
}

function told(receipt: Receipt): { received: number; complete: boolean } {
  if (!("refusal" in receipt)) return receipt;
  const { code: refusal, message } = receipt.refusal;
  throw new NetworkError("network.refused", `${refusal}: ${message}`, { refusal });
}

/** Takes the bulk content of one protocol. */
export class VirtualBulk {
  readonly #node: VirtualNode;
  readonly #ether: VirtualEther;
  readonly #protocolId: string;
  readonly #accept: (offer: BulkOffer) => BulkSink | Promise<BulkSink>;

  constructor(
    node: VirtualNode,
    ether: VirtualEther,
    protocolId: string,
    accept: (offer: BulkOffer) => BulkSink | Promise<BulkSink>,
  ) {
    this.#node = node;
    this.#ether = ether;
    this.#protocolId = protocolId;
    this.#accept = accept;
  }

  take(stream: VirtualStream<Receipt, Content>): void {
    stream.watch(this.#node.settings.bulkIdleTimeoutMs);
    void this.#receive(stream);
  }

  async #receive(stream: VirtualStream<Receipt, Content>): Promise<void> {
    let sink: BulkSink | undefined;
    try {
      const offer = await stream.next();
      if (offer instanceof Uint8Array) throw new TypeError("content comes without an offer");
      const refusal = this.#node.settings.gate.allows(offer.from, this.#protocolId, 0);
      if (refusal !== undefined) throw new Refused(refusal, "not allowed");
      const accepted = this.#accept(offer);
      sink = accepted instanceof Promise ? await stream.whileOpen(accepted) : accepted;
      await this.#content(stream, offer, sink);
      await stream.whileOpen(Promise.resolve(sink.done()));
      sink = undefined;
      stream.send({ received: offer.sizeBytes, complete: true }, 16);
    } catch (error) {
      sink?.broken(brokenBy(error));
      if (error instanceof NetworkError) return;
      const refusal =
        error instanceof Refused ? error : new Refused("service.failed", "the service failed");
      this.#node.tally.refused(refusal.code);
      stream.send({ refusal }, 64);
    }
  }

  async #content(
    stream: VirtualStream<Receipt, Content>,
    { sizeBytes, sha256 }: BulkOffer,
    sink: BulkSink,
  ): Promise<void> {
    const { offset } = sink;
    if (offset < 0 || offset > sizeBytes) throw new RangeError(`the sink stands at byte ${offset}`);
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < offset; ) {
      const bytes = await sink.read?.(at, offset - at);
      if (bytes === undefined || bytes.length === 0) throw new RangeError("nothing to read back");
      pieces.push(bytes);
      at += bytes.length;
    }
    stream.send({ received: offset, complete: false }, 16);
    let acknowledged = offset;
    for (let received = offset; received < sizeBytes; ) {
      const bytes = await stream.next();
      if (!(bytes instanceof Uint8Array)) throw new TypeError("a second offer");
      pieces.push(bytes);
      const written = sink.write(bytes);
      if (written instanceof Promise) await stream.whileOpen(written);
      received += bytes.length;
      this.#node.tally.receivedBytes += bytes.length;
      if (received - acknowledged < RECEIPT_EVERY_BYTES) continue;
      acknowledged = received;
      stream.send({ received, complete: false }, 16);
    }
    if (sink.unchecked === true && sink.offset === 0) return;
    const whole = new Uint8Array(sizeBytes);
    let at = 0;
    for (const piece of pieces) {
      whole.set(piece, at);
      at += piece.length;
    }
    if (this.#ether.hasher.sha256Hex(whole) !== toHex(sha256))
      throw new Refused("bulk.digest", "the digest differs");
  }
}

function brokenBy(error: unknown): NetworkError {
  if (error instanceof NetworkError) return error;
  if (error instanceof Refused)
    return new NetworkError("network.refused", error.message, { refusal: error.code });
  return new NetworkError("network.closed", "the bulk transfer broke off", { cause: error });
}
