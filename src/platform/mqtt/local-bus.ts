import { TopicTree } from "./topic-tree.ts";

type Deliver = (packet: object, done: () => void) => void;
type Done = (error?: Error) => void;

interface Subscription {
  readonly filter: string;
  readonly deliver: Deliver;
}

/**
 * Hands messages to Aedes' subscribers inside the broker; it has the interface of Aedes' option `mq`. Unlike the
 * library's own, it does not make a publisher wait for the sockets of slow subscribers, and it knows whether
 * anybody listens to a topic at all.
 */
export class LocalBus {
  readonly #tree = new TopicTree<Subscription>();
  readonly #subscriptions = new Map<Deliver, Map<string, Subscription>>();
  readonly #qosOf: (filter: string, deliver: Deliver) => number;
  /** Grows with every change of subscriptions. */
  generation = 0;
  /** Grows with every message. */
  emissions = 0;
  #closed = false;

  /** @param qosOf what a subscription was granted; asked only where several match one message */
  constructor(qosOf: (filter: string, deliver: Deliver) => number) {
    this.#qosOf = qosOf;
  }

  hasListener(topic: string): boolean {
    return this.#tree.match(topic).length > 0;
  }

  on(filter: string, deliver: Deliver, done?: Done): this {
    const subscription = { filter, deliver };
    const filters = this.#subscriptions.get(deliver) ?? new Map<string, Subscription>();
    if (!filters.has(filter)) {
      this.#subscriptions.set(deliver, filters.set(filter, subscription));
      this.#tree.add(filter, subscription);
      this.generation++;
    }
    done?.();
    return this;
  }

  removeListener(filter: string, deliver: Deliver, done?: Done): this {
    const filters = this.#subscriptions.get(deliver);
    const subscription = filters?.get(filter);
    if (filters !== undefined && subscription !== undefined) {
      this.#tree.remove(filter, subscription);
      filters.delete(filter);
      if (filters.size === 0) this.#subscriptions.delete(deliver);
      this.generation++;
    }
    done?.();
    return this;
  }

  emit(packet: { readonly topic: string }, done: Done = () => undefined): this {
    if (this.#closed) {
      done(new Error("the MQTT broker is closed"));
      return this;
    }
    this.emissions++;
    const found = this.#tree.match(packet.topic);
    // A client gets a message once, by the subscription that comes first: the one with the highest QoS
    // has to (MQTT 5 section 3.3.4).
    if (found.length > 1)
      found.sort((a, b) => this.#qosOf(b.filter, b.deliver) - this.#qosOf(a.filter, a.deliver));
    for (const { deliver } of found) deliver(packet, () => undefined);
    done();
    return this;
  }

  close(done: () => void): this {
    this.#closed = true;
    setImmediate(done);
    return this;
  }
}
