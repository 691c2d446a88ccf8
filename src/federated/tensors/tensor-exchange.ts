import type { Clock } from "../../platform/clock.ts";
import type { Hasher } from "../../platform/hasher.ts";
import { toHex } from "../../platform/hex.ts";
import type { Logger } from "../../platform/logger.ts";
import {
  type BulkOffer,
  type BulkSink,
  type Network,
  NetworkError,
  type NetworkEvent,
  type NetworkGate,
  type Protocol,
} from "../../platform/network.ts";
import type { Random } from "../../platform/random.ts";
import type { PeerId } from "../../platform/signer.ts";
import { checkHash, checkSettings, checkSize } from "./bounds.ts";
import { unwanted } from "./delivery.ts";
import { type FetchOptions, type FlightCounts, FlightDesk } from "./flight-desk.ts";
import { decodeReply, encodeQuestion, MESSAGE_BYTES_MAX } from "./message-codec.ts";
import type { TensorExchangeOptions } from "./options.ts";
import { TensorError } from "./tensor-error.ts";
import type { FlightParts } from "./tensor-flight.ts";
import { TENSORS_BULK_ID, TensorServer } from "./tensor-server.ts";
import type { TensorShelf } from "./tensor-shelf.ts";

/** Carries questions for tensors, and short tensors as answers. */
export const TENSORS_PROTOCOL: Protocol = {
  id: "/agent-mesh/tensors/1.0.0",
  messageBytesMax: MESSAGE_BYTES_MAX,
  queueBytesMax: 1_048_576,
  requestsInFlightMax: 16,
};

/** What an exchange works with. */
export interface TensorExchangeParts {
  readonly self: PeerId;
  readonly network: Pick<Network, "serve" | "serveBulk" | "sendBulk">;
  /** Sends a request of {@link TENSORS_PROTOCOL}, over a link that is opened if there is none. @throws NetworkError */
  readonly reach: FlightParts["reach"];
  readonly shelf: Pick<TensorShelf, "get" | "hold" | "sizeOf">;
  readonly hasher: Hasher;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly gate: Pick<NetworkGate, "offence">;
  /** Whether this peer is served now; the power policy may say no to all. Asked again while bytes flow. */
  readonly mayServe: (peer: PeerId) => boolean;
}

/** Totals that only grow, but for what is under way now; for metrics. */
export interface TensorExchangeCounters extends FlightCounts {
  readonly fetches: number;
  readonly failures: number;
  /** Fetches that found it on the shelf, or under way. */
  readonly deduplicated: number;
  readonly sentBytes: number;
  /** Tensors sent. */
  readonly served: number;
  /** Questions answered with no. */
  readonly refused: number;
  /** Under way now. */
  readonly uploads: number;
}

/**
 * Fetches tensors by their hash from whoever has them, and serves those of the shelf. The one who wants a tensor asks; the
 * one who has it sends it in the answer, or pushes it in bulk behind the bytes that are there. Nothing is taken that was not
 * asked for, from whom it was asked.
 */
export class TensorExchange {
  readonly #parts: TensorExchangeParts;
  readonly #desk: FlightDesk;
  readonly #server: TensorServer;
  readonly #along = { sent: 0, received: 0 };
  #fetches = 0;
  #deduplicated = 0;
  #failures = 0;

  /** @throws TensorError `tensor.invalid` naming a setting that can not be */
  constructor(parts: TensorExchangeParts, options: TensorExchangeOptions) {
    checkSettings({ ...options });
    this.#parts = parts;
    this.#desk = new FlightDesk(parts, options);
    this.#server = new TensorServer({ ...parts, options });
    parts.network.serve(TENSORS_PROTOCOL, {
      request: (from, payload) => this.#server.answer(from, payload),
    });
    parts.network.serveBulk(TENSORS_BULK_ID, (offer) => this.#accept(offer));
  }

  /**
   * @returns the bytes of that hash, from the shelf or from a holder, and puts them on the shelf if there is room
   * @throws TensorError `tensor.invalid`, `tensor.too-large`, `tensor.busy`, `tensor.unavailable` with how it went at each
   *   holder, `tensor.aborted`, `tensor.stopped`; What came before a failure is used by the next fetch.
   */
  async fetch(hash: string, options: FetchOptions): Promise<Uint8Array> {
    this.#fetches++;
    try {
      return await this.#fetch(hash, options);
    } catch (error) {
      this.#failures++;
      throw error;
    }
  }

  /**
   * As {@link fetch}, where nobody has said how long it is: the holders are asked. One longer than `bytesMax` is not fetched.
   * @throws TensorError, as that does
   */
  async fetchWithin(
    hash: string,
    { bytesMax, ...options }: Omit<FetchOptions, "sizeBytes"> & { readonly bytesMax: number },
  ): Promise<Uint8Array> {
    const known = this.#parts.shelf.sizeOf(hash);
    if (known !== undefined) return this.fetch(hash, { ...options, sizeBytes: known });
    const others = [...options.holders].filter((peer) => peer !== this.#parts.self);
    for (const holder of others) {
      if (options.signal?.aborted === true) break;
      const sizeBytes = await this.#sizeAt(holder, hash);
      if (sizeBytes < 1 || sizeBytes > bytesMax) continue;
      const holders = [holder, ...others.filter((peer) => peer !== holder)];
      try {
        return await this.fetch(hash, { ...options, sizeBytes, holders });
      } catch (error) {
        // It may have said a wrong length.
        if (!(error instanceof TensorError) || error.code !== "tensor.unavailable") throw error;
      }
    }
    throw new TensorError(
      "tensor.unavailable",
      `${hash} can not be had: no holder tells its length`,
    );
  }

  /** Passes on what the network tells. */
  take(event: NetworkEvent): void {
    if (event.kind === "link-down") this.#desk.linkDown(event.peer);
  }

  /** Ends every fetch and whatever is being sent; nothing is fetched or served from then on. */
  stop(): void {
    this.#server.stop();
    this.#desk.stop();
  }

  counters(): TensorExchangeCounters {
    const { sentBytes, served, refused, uploads } = this.#server;
    const deduplicated = this.#deduplicated;
    const [fetches, failures] = [this.#fetches, this.#failures];
    const { receivedBytes, ...fetching } = this.#desk.counts();
    const { sent, received } = this.#along;
    return {
      fetches,
      failures,
      deduplicated,
      ...fetching,
      receivedBytes: receivedBytes + received,
      sentBytes: sentBytes + sent,
      served,
      refused,
      uploads,
    };
  }

  /** Counts a tensor that went along with something else, so that nobody had to ask for it. */
  wentAlong(way: "sent" | "received", bytes: number): void {
    this.#along[way] += bytes;
  }

  async #fetch(hash: string, options: FetchOptions): Promise<Uint8Array> {
    const { sizeBytes, holders } = options;
    const { self, shelf } = this.#parts;
    checkHash(hash);
    checkSize(sizeBytes);
    const known = shelf.sizeOf(hash);
    if (known !== undefined && known !== sizeBytes)
      throw new TensorError("tensor.invalid", `${hash} has ${known} bytes, not ${sizeBytes}`);
    const bytes = known === undefined ? undefined : await this.#fromShelf(hash);
    if (bytes !== undefined) {
      this.#deduplicated++;
      return bytes;
    }
    const others = [...holders].filter((peer) => peer !== self);
    if (this.#desk.has(hash, sizeBytes)) this.#deduplicated++;
    return this.#desk.fetch(hash, { ...options, holders: others });
  }

  /** @returns how long a holder says it is; 0 where it does not say */
  async #sizeAt(holder: PeerId, hash: string): Promise<number> {
    const { reach, logger } = this.#parts;
    try {
      const question = encodeQuestion({ hash, sizeBytes: 1, offset: 0 });
      const reply = decodeReply(await reach(holder, question, false));
      if (reply?.kind === "rest") return reply.bytes.length;
      return reply?.kind === "refusal" ? reply.sizeBytes : 0;
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error;
      logger.debug("a holder does not tell a length", { peer: holder, hash, error });
      return 0;
    }
  }

  /** A store that can not be read does not keep others from helping. */
  async #fromShelf(hash: string): Promise<Uint8Array | undefined> {
    try {
      return await this.#parts.shelf.get(hash);
    } catch (error) {
      this.#parts.logger.warn("a stored tensor can not be read", { hash, error });
      return undefined;
    }
  }

  #accept(offer: BulkOffer): BulkSink {
    const flight = this.#desk.find(toHex(offer.sha256), offer.sizeBytes);
    if (flight === undefined) throw unwanted();
    return flight.accept(offer);
  }
}
