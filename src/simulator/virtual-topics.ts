import type { TopicMessage, TopicVerdict } from "../platform/network.ts";

/** Ids in one generation of those that were seen; two are kept. */
const SEEN_MAX = 4_096;

/** Takes what was published. */
export type TopicReceiver = (message: TopicMessage) => TopicVerdict;

/** Which topics a node listens to, and what it has heard already. */
export class VirtualTopics {
  readonly #receivers = new Map<string, TopicReceiver>();
  #seen = new Set<string>();
  #seenBefore = new Set<string>();

  /** @returns what ends it @throws Error when the topic has a listener */
  subscribe(topic: string, receive: TopicReceiver): () => void {
    if (this.#receivers.has(topic)) throw new Error(`${topic} has a listener already`);
    this.#receivers.set(topic, receive);
    return () => {
      if (this.#receivers.get(topic) === receive) this.#receivers.delete(topic);
    };
  }

  receiver(topic: string): TopicReceiver | undefined {
    return this.#receivers.get(topic);
  }

  /** @returns whether this is the first time, as far as is remembered */
  first(id: string): boolean {
    if (this.#seen.has(id) || this.#seenBefore.has(id)) return false;
    if (this.#seen.size >= SEEN_MAX) {
      this.#seenBefore = this.#seen;
      this.#seen = new Set();
    }
    this.#seen.add(id);
    return true;
  }
}
