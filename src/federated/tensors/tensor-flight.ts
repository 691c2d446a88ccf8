import type { Clock, Timer } from "../../platform/clock.ts";
import type { Hasher } from "../../platform/hasher.ts";
import type { Logger } from "../../platform/logger.ts";
import type { BulkOffer, BulkSink, NetworkGate } from "../../platform/network.ts";
import { NetworkError } from "../../platform/network.ts";
import type { Random } from "../../platform/random.ts";
import type { PeerId } from "../../platform/signer.ts";
import { INLINE_BYTES_MAX } from "./bounds.ts";
import { Delivery, type DeliveryEnd, unwanted } from "./delivery.ts";
import { HolderList } from "./holder-list.ts";
import { decodeReply, encodeQuestion } from "./message-codec.ts";
import type { TensorExchangeOptions } from "./options.ts";
import { convicted, type PartialTensor, type Suspicion } from "./partial-tensor.ts";
import { TensorError } from "./tensor-error.ts";

/** What a fetch works with. */
export interface FlightParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly hasher: Hasher;
  readonly logger: Logger;
  readonly gate: Pick<NetworkGate, "offence">;
  readonly options: TensorExchangeOptions;
  /**
   * Asks a holder, over a link that is opened if there is none.
   * @param isLong what is asked for comes in bulk behind the answer, over the same link @throws NetworkError
   */
  readonly reach: (peer: PeerId, question: Uint8Array, isLong: boolean) => Promise<Uint8Array>;
  /** Hears what comes in: bytes, and how many of the tensor are there. */
  readonly onBytes: (bytes: number, there: number) => void;
  /** A holder goes on behind bytes that are there. */
  readonly onResume: () => void;
  /** A holder gave wrong bytes. */
  readonly onLiar: () => void;
}

/** One fetch of one tensor: asks one holder after the other until all bytes are there and right. */
export class TensorFlight {
  readonly partial: PartialTensor;
  readonly #parts: FlightParts;
  readonly #holders: HolderList;
  #delivery: Delivery | undefined;
  #aborted: TensorError | undefined;
  #wake: (() => void) | undefined;
  /** Bytes of several holders made up a wrong whole: from then on all have to come from one. */
  #suspicions: Suspicion[] = [];
  /** As far as the tensor has ever come. */
  #furthest: number;

  constructor(parts: FlightParts, partial: PartialTensor) {
    this.#parts = parts;
    this.partial = partial;
    this.#furthest = partial.length;
    this.#holders = new HolderList(parts.options, parts.random);
  }

  /** Some more that may have it. */
  add(holders: Iterable<PeerId>): void {
    this.#holders.add(holders);
    this.#wake?.();
  }

  /** @returns the bytes, checked @throws TensorError `tensor.unavailable`, or what it was aborted with */
  async run(): Promise<Uint8Array> {
    const { clock, hasher } = this.#parts;
    for (;;) {
      if (this.#aborted !== undefined) throw this.#aborted;
      const next = this.#holders.next(clock.monotonicMs());
      if (next === undefined) {
        const { hash } = this.partial;
        const how = this.#holders.describe();
        throw new TensorError("tensor.unavailable", `${hash} can not be had: ${how}`);
      }
      if ("waitMs" in next) await this.#pause(next.waitMs);
      else if (await this.#attempt(next.peer)) {
        const bytes = this.partial.take();
        for (const liar of convicted(this.#suspicions, bytes, hasher)) this.#condemn(liar);
        return bytes;
      }
    }
  }

  /** Ends it; {@link TensorFlight.run} throws the error. What came stays in the partial tensor. */
  abort(error: TensorError): void {
    this.#aborted = error;
    this.#delivery?.close({ kind: "failed", reason: "given up" });
    this.#wake?.();
  }

  /** Takes what a peer sends in bulk. @throws Refused when it was not asked */
  accept(offer: BulkOffer): BulkSink {
    if (this.#delivery?.from !== offer.from) throw unwanted();
    return this.#delivery.sink();
  }

  /** The last link to a peer is gone. */
  linkDown(peer: PeerId): void {
    if (this.#delivery?.from === peer) this.#delivery.linkDown();
  }

  /** @returns whether the tensor is whole and right now */
  async #attempt(peer: PeerId): Promise<boolean> {
    const { clock, hasher, onBytes, onResume, options, reach } = this.#parts;
    const { partial } = this;
    if (this.#suspicions.length > 0 && partial.length > 0 && !partial.sources.has(peer))
      partial.reset();
    const { hash, sizeBytes, length: offset } = partial;
    let hasBegun = false;
    const delivery = new Delivery(peer, partial, hasher, (bytes) => {
      if (offset > 0 && !hasBegun) onResume();
      hasBegun = true;
      onBytes(bytes, partial.length);
    });
    this.#delivery = delivery;
    const unwatch = this.#watch(delivery);
    const isLong = sizeBytes - offset > INLINE_BYTES_MAX;
    reach(peer, encodeQuestion({ hash, sizeBytes, offset }), isLong).then(
      (answer) => delivery.answer(decodeReply(answer)),
      (error: unknown) => delivery.unanswered(reasonOf(error)),
    );
    const end = await delivery.end;
    unwatch();
    this.#delivery = undefined;
    // The partial tensor may belong to another fetch by now.
    if (this.#aborted !== undefined) return false;
    if (end.kind === "done") return true;
    if (end.kind === "failed" && partial.length - offset >= options.progressBytesMin) {
      const isNew = partial.length >= this.#furthest + options.progressBytesMin;
      if (isNew) this.#furthest = partial.length;
      this.#holders.progressed(peer, end.reason, isNew);
    } else this.#failed(peer, end, clock.monotonicMs());
    return false;
  }

  #failed(peer: PeerId, end: DeliveryEnd, nowMs: number): void {
    const { gate, logger } = this.#parts;
    const { hash } = this.partial;
    logger.debug("a tensor was not delivered", { peer, hash, ...end });
    if (end.kind === "busy") this.#holders.busy(peer, end.retryAfterMs, nowMs);
    else if (end.kind === "malformed") {
      gate.offence(peer, "malformed");
      this.#holders.failed(peer, "malformed", nowMs);
    } else if (end.kind === "wrong") this.#wrong(nowMs);
    else if (end.kind === "failed") this.#holders.failed(peer, end.reason, nowMs);
  }

  /** One of those that gave bytes lied. Where they are several, who it was shows when the right ones are there. */
  #wrong(nowMs: number): void {
    const { partial } = this;
    const [first, ...others] = partial.sources;
    if (others.length > 0) {
      this.#suspicions = partial.suspicions(this.#parts.hasher);
      for (const peer of partial.sources) this.#holders.failed(peer, "wrong bytes in parts", nowMs);
    } else if (first !== undefined) {
      this.#holders.exclude(first, "wrong bytes");
      this.#condemn(first);
    }
    partial.reset();
  }

  #condemn(peer: PeerId): void {
    const { gate, logger, onLiar } = this.#parts;
    logger.warn("a holder gave wrong bytes for a tensor", { peer, hash: this.partial.hash });
    gate.offence(peer, "malformed");
    onLiar();
  }

  /** Gives a delivery up that stands still, or all but does. @returns what ends the watch */
  #watch(delivery: Delivery): () => void {
    const { clock, options } = this.#parts;
    const { stallTimeoutMs, progressBytesMin } = options;
    let before = this.partial.length;
    let timer: Timer;
    const look = (): void => {
      const { length, sizeBytes } = this.partial;
      const least = Math.min(progressBytesMin, sizeBytes - before);
      if (length - before < Math.max(1, least)) {
        delivery.close({ kind: "failed", reason: "too slow" });
        return;
      }
      before = length;
      timer = clock.setTimer("tensors.watch", stallTimeoutMs, look);
    };
    timer = clock.setTimer("tensors.watch", stallTimeoutMs, look);
    return () => timer.cancel();
  }

  async #pause(waitMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = this.#parts.clock.setTimer("tensors.retry", waitMs, resolve);
    this.#wake = resolve;
    await promise;
    this.#wake = undefined;
    timer.cancel();
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof NetworkError) return error.refusal ?? error.code;
  return error instanceof Error ? error.message : String(error);
}
