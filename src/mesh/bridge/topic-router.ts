import { type BridgeBackend, BridgeError, type BridgeMessage } from "../../platform/bridge.ts";
import type { Link } from "./link.ts";
import type { LoopGuard } from "./loop-guard.ts";
import type { Refusals } from "./refusals.ts";
import { TopicFilters, type TopicRules } from "./topic-rules.ts";

/** What a router works with. */
export interface RouterParts {
  readonly backend: BridgeBackend;
  readonly guard: LoopGuard;
  /** What leaves the mesh. */
  readonly up: TopicRules;
  /** What comes into the mesh. */
  readonly down: TopicRules;
  readonly links: ReadonlySet<Link>;
  readonly refusals: Refusals;
  /** Messages at once on their way into the mesh. */
  readonly publishesMax: number;
  readonly subscribersMax: number;
}

interface Subscriber {
  readonly filters: TopicFilters;
  readonly receive: (message: BridgeMessage) => void;
}

/** Hands each message to everybody who wants it, once, but not back to where it came from. */
export class TopicRouter {
  readonly #parts: RouterParts;
  readonly #subscribers = new Set<Subscriber>();
  readonly #repeats = new Map<string, number>();
  readonly #counts = { messagesUp: 0, messagesDown: 0, messagesLinked: 0 };
  #publishing = 0;

  constructor(parts: RouterParts) {
    this.#parts = parts;
  }

  /** Numbers since the start, and how many subscribe now. */
  get counters() {
    return {
      ...this.#counts,
      subscribersNow: this.#subscribers.size,
      repeats: Object.fromEntries(this.#repeats),
    };
  }

  /** Listens to the mesh. @returns what ends it */
  start(): () => void {
    const filters = this.#parts.up.meshFilters;
    if (filters.length === 0) return () => undefined;
    return this.#parts.backend.subscribe(filters, (message) => this.#fromMesh(message));
  }

  /** @returns what ends it @throws BridgeError when there are too many */
  subscribe(filters: readonly string[], receive: (message: BridgeMessage) => void): () => void {
    const { refusals, subscribersMax } = this.#parts;
    refusals.bound(this.#subscribers.size, subscribersMax, "subscribers");
    const subscriber = { filters: new TopicFilters(filters), receive };
    this.#subscribers.add(subscriber);
    return () => void this.#subscribers.delete(subscriber);
  }

  /** A client of the cluster publishes. @returns to how many it went @throws BridgeError when to none who wanted it */
  publish(message: BridgeMessage): Promise<number> {
    return this.#distribute(message, undefined);
  }

  /** Who sent it over a link hears nothing of where it went; what did not go anywhere is counted. */
  fromLink(link: Link, message: BridgeMessage): void {
    const { refusals } = this.#parts;
    if (!link.principal.allows("publish", message.topic)) {
      refusals.add("bridge.denied");
      return;
    }
    this.#counts.messagesLinked++;
    // Counted where it failed.
    this.#distribute(message, link).catch(() => undefined);
  }

  #fromMesh(message: BridgeMessage): void {
    const topic = this.#parts.up.toCluster(message.topic);
    if (topic === undefined) return;
    this.#counts.messagesUp++;
    // Counted where it failed.
    this.#distribute({ ...message, topic }, "mesh").catch(() => undefined);
  }

  async #distribute(message: BridgeMessage, source: Link | "mesh" | undefined): Promise<number> {
    const { guard } = this.#parts;
    const verdict = guard.message(message.from ?? "", message.id, message.via);
    if (verdict !== "new") {
      this.#repeats.set(verdict, (this.#repeats.get(verdict) ?? 0) + 1);
      return 0;
    }
    const onward = { ...message, via: guard.passed(message.via) };
    const given = this.#toSubscribers(onward);
    const linked = this.#toLinks(onward, source);
    let receivers = given + linked.receivers;
    let { failure } = linked;
    if (source !== "mesh")
      try {
        receivers += await this.#intoMesh(onward);
      } catch (error) {
        failure = error;
        this.#parts.refusals.addError(error);
      }
    if (receivers === 0 && failure !== undefined) throw failure;
    return receivers;
  }

  #toSubscribers(message: BridgeMessage): number {
    let receivers = 0;
    for (const { filters, receive } of this.#subscribers)
      if (filters.match(message.topic)) {
        receive(message);
        receivers++;
      }
    return receivers;
  }

  #toLinks(message: BridgeMessage, source: unknown): { receivers: number; failure: unknown } {
    let receivers = 0;
    let failure: unknown;
    for (const link of this.#parts.links)
      if (link !== source && link.wants(message.topic))
        try {
          link.message(message);
          receivers++;
        } catch (error) {
          failure = error;
          this.#parts.refusals.addError(error);
        }
    return { receivers, failure };
  }

  async #intoMesh(message: BridgeMessage): Promise<number> {
    const { backend, down, publishesMax } = this.#parts;
    const topic = down.toMesh(message.topic);
    if (topic === undefined) return 0;
    if (this.#publishing >= publishesMax)
      throw new BridgeError("bridge.busy", "too many messages on their way into the mesh");
    this.#publishing++;
    try {
      const neighbours = await backend.publish({ ...message, topic });
      this.#counts.messagesDown++;
      return neighbours;
    } finally {
      this.#publishing--;
    }
  }
}
