import type { Stream } from "@libp2p/interface";
import {
  type BulkOffer,
  type BulkSink,
  type BulkSource,
  NetworkError,
  Refused,
} from "../network.ts";
import type { Tally } from "../network-tally.ts";
import type { PeerId } from "../signer.ts";
import { receiveBulk } from "./bulk-receiver.ts";
import { sendBulk } from "./bulk-sender.ts";
import { reason } from "./dial.ts";
import { FrameError } from "./frame-codec.ts";
import type { Libp2pSettings } from "./settings.ts";

/** Bulk transfers of one node, either way. */
export class BulkService {
  readonly #settings: Libp2pSettings;
  readonly #tally: Tally;

  constructor(settings: Libp2pSettings, tally: Tally) {
    this.#settings = settings;
    this.#tally = tally;
  }

  /** Receives on a stream that a peer opened. */
  take(
    stream: Stream,
    from: PeerId,
    protocolId: string,
    accept: (offer: BulkOffer) => BulkSink | Promise<BulkSink>,
  ): void {
    const { gate, bulkIdleTimeoutMs: idleTimeoutMs, logger } = this.#settings;
    const allowed = (offer: BulkOffer): BulkSink | Promise<BulkSink> => {
      const refusal = gate.allows(from, protocolId, 0);
      if (refusal === undefined) return accept(offer);
      throw new Refused(refusal, `not allowed on ${protocolId}`);
    };
    const onReceived = (bytes: number): void => {
      this.#tally.receivedBytes += bytes;
    };
    receiveBulk(stream, { from, idleTimeoutMs, accept: allowed, onReceived }).catch(
      (error: unknown) => {
        if (error instanceof FrameError) this.#offence(from, error);
        else if (error instanceof Refused) this.#tally.refused(error.code);
        else if (!(error instanceof NetworkError))
          logger.error("a service of the mesh failed", { protocol: protocolId, error });
        logger.debug("a bulk transfer ended early", { from, protocolId, reason: reason(error) });
      },
    );
  }

  /** @throws NetworkError */
  async send(
    stream: Stream,
    peer: PeerId,
    source: BulkSource,
    onProgress: (bytes: number) => void,
  ): Promise<void> {
    const { bulkIdleTimeoutMs: idleTimeoutMs } = this.#settings;
    const onSent = (bytes: number): void => {
      this.#tally.sentBytes += bytes;
    };
    try {
      await sendBulk(stream, source, { idleTimeoutMs, onProgress, onSent });
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.#offence(peer, error);
      throw new NetworkError("network.closed", "the peer broke the format", { cause: error });
    }
  }

  #offence(peer: PeerId, { offence }: FrameError): void {
    this.#tally.refused(offence);
    this.#settings.gate.offence(peer, offence);
  }
}
