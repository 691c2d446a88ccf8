import type { TopicMessage, TopicVerdict } from "../platform/network.ts";
import type { PeerId } from "../platform/signer.ts";
import type { LinkEnd } from "./virtual-link.ts";
import type { Published, TopicNeighbour, VirtualNode } from "./virtual-node.ts";

/** Ids in one generation of those that were seen; two are kept. */
const SEEN_MAX = 4_096;
/** What waits on a link of all topics together. */
const WAY = "topics";

/** Takes what was published. */
export type TopicReceiver = (message: TopicMessage) => TopicVerdict;

/** Topics of one node: what is new is told, and passed on to every neighbour that listens. */
export class VirtualTopics implements TopicNeighbour {
  readonly #node: VirtualNode;
  readonly #receivers = new Map<string, TopicReceiver>();
  #seen = new Set<string>();
  #seenBefore = new Set<string>();
  #published = 0;

  constructor(node: VirtualNode) {
    this.#node = node;
  }

  /** @returns what ends it @throws Error when the topic has a listener */
  subscribe(topic: string, receive: TopicReceiver): () => void {
    if (this.#receivers.has(topic)) throw new Error(`${topic} has a listener already`);
    // A listener that comes back later is another one.
    const own: TopicReceiver = (message) => receive(message);
    this.#receivers.set(topic, own);
    return () => {
      if (this.#receivers.get(topic) === own) this.#receivers.delete(topic);
    };
  }

  listens(topic: string): boolean {
    return this.#receivers.has(topic);
  }

  /** @returns to how many neighbours it went */
  publish(topic: string, payload: Uint8Array): number {
    const { self: from, tally } = this.#node;
    const message = { id: `${from}/${this.#published++}`, topic, from, payload };
    this.#first(message.id);
    tally.messagesPublished++;
    return this.#flood(message, undefined);
  }

  heard(message: Published, neighbour: PeerId): void {
    const { topic, from, payload } = message;
    const receive = this.#receivers.get(topic);
    if (receive === undefined || !this.#first(message.id)) return;
    const { tally, settings } = this.#node;
    const { gate, messageBytesMax } = settings;
    tally.receivedBytes += payload.length;
    if (payload.length > messageBytesMax) {
      gate.offence(neighbour, "oversize");
      tally.refused("oversize");
      return;
    }
    const refusal =
      gate.allows(neighbour, topic, payload.length) ??
      (from === neighbour ? undefined : gate.allows(from, topic, 0));
    if (refusal !== undefined) {
      tally.refused(refusal);
      return;
    }
    const verdict = receive({ topic, from, payload });
    if (verdict === "reject") gate.offence(neighbour, "invalid-topic-message");
    if (verdict !== "accept") return;
    tally.messagesDelivered++;
    this.#flood(message, neighbour);
  }

  /** Passes a message on, but not back. @returns to how many */
  #flood(message: Published, except: PeerId | undefined): number {
    const { topic, payload, from } = message;
    const { tally, settings } = this.#node;
    let neighbours = 0;
    for (const end of this.#node.best()) {
      const { peer } = end.link;
      const { topics } = end.other.owner as VirtualNode;
      if (peer === except || peer === from || !topics.listens(topic)) continue;
      if (!end.fits(WAY, payload.length, settings.queueBytesMax)) {
        tally.refused("network.queue-full");
        continue;
      }
      neighbours++;
      tally.sentBytes += payload.length;
      end.transmit(WAY, payload, (at: LinkEnd) => topics.heard(message, at.link.peer));
    }
    return neighbours;
  }

  /** @returns whether this is the first time, as far as is remembered */
  #first(id: string): boolean {
    if (this.#seen.has(id) || this.#seenBefore.has(id)) return false;
    if (this.#seen.size >= SEEN_MAX) {
      this.#seenBefore = this.#seen;
      this.#seen = new Set();
    }
    this.#seen.add(id);
    return true;
  }
}
