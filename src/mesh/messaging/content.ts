import {
  type BulkOffer,
  type BulkSink,
  type BulkSource,
  type Network,
  Refused,
} from "../../platform/network.ts";
import type { PeerId } from "../../platform/signer.ts";

/** Carries content of any size. */
export const CONTENT_PROTOCOL_ID = "/agent-mesh/content/1.0.0";

/** Takes content of any size that was sent to this node. @throws Refused to say no */
export type ContentListener = (offer: BulkOffer) => BulkSink | Promise<BulkSink>;

/** Content of any size that nodes send each other. */
export class Content {
  readonly #network: Network;
  readonly #link: (peer: PeerId) => Promise<void>;
  #accept: ContentListener | undefined;

  /** @param link sees to a link; it may reject with a NetworkError */
  constructor(network: Network, link: (peer: PeerId) => Promise<void>) {
    this.#network = network;
    this.#link = link;
    network.serveBulk(CONTENT_PROTOCOL_ID, (offer) => this.take(offer));
  }

  /** @throws NetworkError; a later call with the same source goes on where this one stopped */
  async send(
    peer: PeerId,
    source: BulkSource,
    onProgress?: (bytes: number) => void,
  ): Promise<void> {
    await this.#link(peer);
    await this.#network.sendBulk(peer, CONTENT_PROTOCOL_ID, source, onProgress);
  }

  onContent(accept: ContentListener): void {
    this.#accept = accept;
  }

  /** Takes content that is for this node, whichever way it came. @throws Refused */
  take(offer: BulkOffer): BulkSink | Promise<BulkSink> {
    if (this.#accept === undefined)
      throw new Refused("content.unwanted", "this agent takes no content");
    return this.#accept(offer);
  }
}
