import { Readable } from "node:stream";
import type { BrokerMemoryUse } from "../../broker.ts";
import type { Clock } from "../../clock.ts";
import type { KeyValueStore } from "../../key-value-store.ts";
import type { Logger } from "../../logger.ts";
import { type BrokerCore, type ClientCore, withoutExtras } from "./aedes-core.ts";
import { IncomingMessages } from "./incoming.ts";
import { Journal } from "./journal.ts";
import { ordinalPart } from "./keys.ts";
import type { StateLimits } from "./limits.ts";
import { OutgoingMessages, type Queued } from "./outgoing.ts";
import type { Message } from "./packet.ts";
import { restoreState } from "./restore.ts";
import { RetainedMessages } from "./retained.ts";
import { isFree, type Session } from "./session.ts";
import { Sessions } from "./sessions.ts";
import type { Match, Subscription } from "./subscription-tree.ts";
import { type Will, Wills } from "./wills.ts";

/** What a {@link BrokerState} is made of. */
export interface BrokerStateParts {
  /** Shared with the rest of the agent; the broker's keys begin with `b/`. */
  readonly store: KeyValueStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: StateLimits;
  /** Says whether a client may have this subscription; asked once more before it is kept. */
  readonly maySubscribe?: (client: ClientCore, filter: string) => boolean;
}

/** Messages kept before Aedes asks for it; the mark is taken off when it does. */
const MARKS_MAX = 10_000;

/**
 * What the broker remembers across restarts: sessions, what is queued for them, retained messages, wills.
 * It speaks Aedes' persistence interface. Subscriptions, retained messages and what is under way are in
 * memory within named bounds; queued messages are on disk only.
 */
export class BrokerState {
  readonly #parts: BrokerStateParts;
  readonly #journal: Journal;
  readonly #sessions: Sessions;
  readonly #outgoing: OutgoingMessages;
  readonly #retained: RetainedMessages;
  readonly #wills: Wills;
  readonly #marks = new Set<number>();
  readonly #incoming: IncomingMessages;
  readonly #redelivered = new WeakSet<object>();
  /** Messages about to be sent, as objects of Aedes. */
  readonly #sending = new WeakSet<object>();
  #broker: BrokerCore | undefined;
  #epoch = 0;
  #damaged = 0;

  constructor(parts: BrokerStateParts) {
    this.#parts = parts;
    this.#journal = new Journal(parts);
    const common = { ...parts, journal: this.#journal };
    this.#outgoing = new OutgoingMessages({
      ...common,
      setAside: (key, value) => this.#setAside(key, value),
      brokerIdOf: (epoch) => (epoch === this.#epoch ? this.broker.id : `run-${epoch}`),
    });
    this.#incoming = new IncomingMessages(this.#journal);
    this.#retained = new RetainedMessages(common);
    this.#wills = new Wills(common);
    this.#sessions = new Sessions({
      ...common,
      ended: (session) => {
        this.#outgoing.forget(session).catch(() => undefined);
      },
    });
  }

  get broker(): BrokerCore {
    if (this.#broker === undefined) throw new Error("the broker's state is not set up");
    return this.#broker;
  }

  /** How much is remembered, and what was left out. */
  use(): BrokerMemoryUse {
    const outgoing = this.#outgoing.use;
    const retained = this.#retained.use;
    return {
      sessions: this.#sessions.size,
      subscriptions: this.#sessions.subscriptions,
      ...outgoing,
      ...retained,
      dropped: outgoing.dropped + retained.dropped,
      damaged: this.#damaged,
    };
  }

  /** Reads what is on disk. Aedes calls it first. @throws StoreError */
  async setup(broker: BrokerCore): Promise<void> {
    this.#broker = broker;
    this.#epoch = await restoreState({
      ...this.#parts,
      journal: this.#journal,
      sessions: this.#sessions,
      outgoing: this.#outgoing,
      retained: this.#retained,
      wills: this.#wills,
      setAside: (key, value) => this.#setAside(key, value),
    });
    this.#sessions.sweep();
  }

  // ── Before the publisher is thanked ──

  /**
   * Whether a message means anything to what is remembered: it is retained, or a session asked for it. If
   * not, nothing here need hear of it. Cheap; called for each message.
   */
  concerns(topic: string, retain: boolean): boolean {
    return retain || this.#sessions.matches(topic);
  }

  /** Grows with every subscription of a session that comes: then {@link concerns} has to be asked anew. */
  get generation(): number {
    return this.#sessions.generation;
  }

  /**
   * Keeps a QoS 1 or 2 message for the sessions that want it, and as retained: on disk when this resolves.
   * Aedes would do so only after PUBACK; what it asks later for the same message is then done already.
   * @param message gets the number by which Aedes knows it from now on. @throws StoreError
   */
  async keep(message: Message, publisherId?: string): Promise<void> {
    message.brokerId = this.broker.id;
    message.brokerCounter = ++this.broker.counter;
    if (message.retain) this.#retained.keep(message);
    const matches = this.#sessions.match(message.topic);
    if (message.qos > 0) this.#mark(message.brokerCounter);
    await this.#enqueue(matches, message, publisherId);
    await this.#journal.durable();
  }

  // ── Connections ──

  /** The client's connection stands. */
  arrived(client: ClientCore): void {
    this.#sessions.arrived(client.id);
  }

  /** The client's connection is gone. */
  left(client: ClientCore): void {
    this.#incoming.left(client.id);
    this.#sessions.left(client.id, client.sessionExpiryInterval ?? Number.MAX_SAFE_INTEGER);
  }

  /** Publishes the wills that an earlier run left. */
  publishLeftWills(publish: (will: Will) => void): void {
    this.#wills.publishLeft(this.broker.id, (id) => this.#sessions.secondsLeft(id), publish);
  }

  /**
   * Whether a message may go to the client right now. While its queue is being sent, what is new waits there
   * for its turn; what was sent from there is not sent twice.
   */
  mayDeliver(client: ClientCore, message: Message): boolean {
    if (message.qos === 0 || this.#sending.has(message)) return true;
    const session = this.#sessions.get(client.id);
    return session === undefined || isFree(session, this.#ordinalOf(message));
  }

  /** @returns whether this message, about to be sent, was sent before (it then carries DUP). */
  wasSentBefore(message: object): boolean {
    return this.#redelivered.has(message);
  }

  // ── Aedes: retained messages ──

  async storeRetained(message: Message): Promise<void> {
    if (!this.#marks.has(message.brokerCounter ?? 0)) this.#retained.keep(message);
  }

  createRetainedStream(filter: string): Readable {
    return this.createRetainedStreamCombi([filter]);
  }

  createRetainedStreamCombi(filters: readonly string[]): Readable {
    return Readable.from(this.#retained.matching(filters));
  }

  // ── Aedes: subscriptions ──

  async addSubscriptions(
    client: ClientCore,
    subscriptions: readonly Subscription[],
  ): Promise<void> {
    const { maySubscribe } = this.#parts;
    // Aedes brings all of a packet's subscriptions, those that were refused among them.
    const allowed = subscriptions.filter(({ topic }) => maySubscribe?.(client, topic) ?? true);
    if (allowed.length === 0) return;
    const session = this.#sessions.open(client.id, client.sessionExpiryInterval);
    if (session === undefined) return;
    this.#sessions.subscribe(session, allowed.map(withoutExtras));
    await this.#journal.durableIfPossible();
  }

  async removeSubscriptions(client: ClientCore, filters: readonly string[]): Promise<void> {
    const session = this.#sessions.get(client.id);
    if (session === undefined) return;
    const bare = this.#sessions.unsubscribe(session, filters);
    if (bare && session.queuedMessages === 0 && session.incoming.size === 0)
      this.#sessions.end(session);
    await this.#journal.durableIfPossible();
  }

  async subscriptionsByClient(client: ClientCore): Promise<Subscription[]> {
    return [...(this.#sessions.get(client.id)?.subscriptions.values() ?? [])].map((one) => ({
      ...one,
    }));
  }

  async countOffline(): Promise<{ subsCount: number; clientsCount: number }> {
    return { subsCount: this.#sessions.subscriptions, clientsCount: this.#sessions.size };
  }

  async subscriptionsByTopic(topic: string): Promise<Match[]> {
    return this.#sessions.match(topic);
  }

  /** The session ends: the client wants a new one, or its time is over. */
  async cleanSubscriptions(client: ClientCore): Promise<void> {
    this.#incoming.left(client.id);
    const session = this.#sessions.get(client.id);
    if (session === undefined) return;
    this.#sessions.end(session);
    await this.#journal.durableIfPossible();
  }

  getClientList(topic: string): Readable {
    const clients = [...this.#sessions.all()]
      .filter(({ subscriptions }) => subscriptions.has(topic))
      .map(({ clientId }) => clientId);
    return Readable.from(clients);
  }

  // ── Aedes: messages to sessions ──

  async outgoingEnqueue(
    match: Partial<Match> & { clientId: string },
    message: Message,
  ): Promise<void> {
    await this.outgoingEnqueueCombi([match], message);
  }

  async outgoingEnqueueCombi(
    matches: readonly (Partial<Match> & { clientId: string })[],
    message: Message,
  ): Promise<void> {
    if (this.#marks.delete(message.brokerCounter ?? 0) || matches.length === 0) return;
    await this.#enqueue(matches, message, message.clientId);
  }

  async outgoingUpdate(client: ClientCore, message: Message): Promise<void> {
    const session = this.#sessions.get(client.id);
    if (session === undefined) return;
    if (message.cmd === "pubrel") {
      await this.#outgoing.release(session, message.messageId ?? 0);
      return;
    }
    this.#sending.add(message);
    const again = await this.#outgoing.sending(session, this.#ordinalOf(message), message);
    if (again) this.#redelivered.add(message);
  }

  async outgoingClearMessageId(
    client: ClientCore,
    message: Pick<Message, "messageId" | "brokerId" | "brokerCounter">,
  ): Promise<Message | undefined> {
    const session = this.#sessions.get(client.id);
    if (session === undefined) return undefined;
    if (message.messageId !== undefined)
      return this.#outgoing.acknowledged(session, message.messageId);
    const ordinal = this.#ordinalOf(message);
    // It waits in the queue, or it will not be sent at all: its client may not hear it any more.
    if (message.brokerCounter === undefined || !isFree(session, ordinal)) return undefined;
    return this.#outgoing.drop(session, ordinal);
  }

  outgoingStream(client: ClientCore): Readable {
    const session = this.#sessions.get(client.id);
    const queued: AsyncIterable<Queued> | Iterable<Queued> =
      session === undefined
        ? []
        : this.#outgoing.stream(session, client.receiveMaximum ?? Number.POSITIVE_INFINITY);
    return Readable.from(queued);
  }

  // ── Aedes: QoS 2 messages from clients ──

  async incomingStorePacket(client: ClientCore, { messageId = 0 }: Message): Promise<void> {
    const session =
      client.clean === false
        ? this.#sessions.open(client.id, client.sessionExpiryInterval)
        : undefined;
    await this.#incoming.add(client.id, session, messageId);
  }

  async incomingGetPacket(client: ClientCore, { messageId = 0 }: Message): Promise<Message> {
    if (!this.#incoming.has(client.id, this.#sessions.get(client.id), messageId))
      throw new Error("no such packet");
    return { topic: "", payload: "", qos: 2, retain: false, messageId };
  }

  async incomingDelPacket(client: ClientCore, { messageId = 0 }: Message): Promise<void> {
    this.#incoming.delete(client.id, this.#sessions.get(client.id), messageId);
  }

  // ── Aedes: wills ──

  async putWill(client: ClientCore, will: Message): Promise<void> {
    await this.#wills.put(client.id, this.broker.id, will);
  }

  async getWill(client: ClientCore): Promise<Will | undefined> {
    return this.#wills.get(client.id);
  }

  async delWill(client: ClientCore): Promise<Will | undefined> {
    return this.#wills.delete(client.id);
  }

  /**
   * Wills for Aedes to publish by itself: none while this broker lives, since {@link publishLeftWills} sees
   * to those of earlier runs, and a jump of the clock makes Aedes take its own clients for dead.
   */
  streamWill(brokers?: Readonly<Record<string, unknown>>): Readable {
    const known = brokers === undefined ? undefined : { ...brokers, [this.broker.id]: true };
    return Readable.from(this.#wills.of(known));
  }

  /** Writes down what is not on disk yet. Call it once no client is connected any more. */
  async destroy(): Promise<void> {
    this.#wills.stop();
    this.#sessions.stop();
    await this.#journal.durableIfPossible();
  }

  async #enqueue(
    matches: readonly (Partial<Match> & { clientId: string })[],
    message: Message,
    publisherId: string | undefined,
  ): Promise<void> {
    const ordinal = this.#ordinalOf(message);
    const undo: (() => void)[] = [];
    for (const [session, match] of this.#receivers(matches, publisherId)) {
      const takeBack = this.#outgoing.enqueue(session, ordinal, message, match);
      if (takeBack !== undefined) undo.push(takeBack);
    }
    if (undo.length === 0) return;
    try {
      await this.#journal.durable();
    } catch (error) {
      for (const takeBack of undo) takeBack();
      throw error;
    }
  }

  /** Each session once, at the highest QoS of its matching subscriptions (MQTT 5 section 3.3.4). */
  #receivers(
    matches: readonly (Partial<Match> & { clientId: string })[],
    publisherId: string | undefined,
  ): Map<Session, Partial<Match>> {
    const receivers = new Map<Session, Partial<Match>>();
    for (const match of matches) {
      if (match.nl === true && match.clientId === publisherId) continue;
      const session =
        this.#sessions.get(match.clientId) ?? this.#sessions.open(match.clientId, undefined);
      if (session === undefined) continue;
      const other = receivers.get(session);
      if (other === undefined || (other.qos ?? 0) < (match.qos ?? 0)) receivers.set(session, match);
    }
    return receivers;
  }

  #ordinalOf({ brokerId, brokerCounter = 0 }: Partial<Message>): string {
    const run = /^run-(\d+)$/.exec(brokerId ?? "")?.[1];
    return ordinalPart(run === undefined ? this.#epoch : Number(run), brokerCounter);
  }

  #mark(counter: number): void {
    this.#marks.add(counter);
    // Aedes never came for the oldest: their publishers were gone before PUBACK.
    const [oldest] = this.#marks.size > MARKS_MAX ? this.#marks : [];
    if (oldest !== undefined) this.#marks.delete(oldest);
  }

  #setAside(key: string, value: Uint8Array): void {
    this.#damaged++;
    this.#parts.logger.warn("an entry of what the MQTT broker remembers is damaged; set aside", {
      key,
    });
    this.#journal.put(`b/x/${key}`, value);
    this.#journal.delete(key);
  }
}
