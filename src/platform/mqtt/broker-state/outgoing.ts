import type { Clock } from "../../clock.ts";
import type { KeyValueStore } from "../../key-value-store.ts";
import type { Logger } from "../../logger.ts";
import type { Journal } from "./journal.ts";
import { flightKey, ordinalOf, parseOrdinal, queueKey } from "./keys.ts";
import { lifetimeIn, lifetimeOf, stampExpiry } from "./lifetime.ts";
import { Complaint, type StateLimits } from "./limits.ts";
import { decodeMessage, encodeMessage, type Message, parseObject } from "./packet.ts";
import type { Flight, Session } from "./session.ts";
import type { Match } from "./subscription-tree.ts";

/** What a message costs beyond its bytes: its key here and in the store's index. */
const OVERHEAD_BYTES = 64;
const PAGE = { limit: 64, bytesMax: 262_144 } as const;
const MESSAGE_IDS = 65_535;

/** What {@link OutgoingMessages} is made of. */
export interface OutgoingParts {
  readonly store: KeyValueStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: StateLimits;
  readonly journal: Journal;
  readonly setAside: (key: string, value: Uint8Array) => void;
  /** Name of the broker in that run, by which Aedes tells messages apart. */
  readonly brokerIdOf: (epoch: number) => string;
}

/** A message or PUBREL, ready to be sent again. */
export type Queued = Message | { readonly cmd: "pubrel"; readonly messageId: number };

/** QoS 1 and 2 messages on their way to sessions: on disk until the receiver has acknowledged them. */
export class OutgoingMessages {
  readonly #parts: OutgoingParts;
  readonly #full: Complaint;
  #messages = 0;
  #bytes = 0;
  #dropped = 0;
  #expired = 0;

  constructor(parts: OutgoingParts) {
    this.#parts = parts;
    this.#full = new Complaint(
      parts.logger,
      "messages for MQTT sessions dropped: mqtt.broker.queuedBytesMax is reached",
    );
  }

  get use(): { queuedMessages: number; queuedBytes: number; dropped: number; expired: number } {
    return {
      queuedMessages: this.#messages,
      queuedBytes: this.#bytes,
      dropped: this.#dropped,
      expired: this.#expired,
    };
  }

  /** Counts an entry of the store. */
  restore(session: Session, key: string, value: Uint8Array): void {
    this.#count(session, 1, value.length + OVERHEAD_BYTES);
    session.lastOrdinal = ordinalOf(key);
  }

  /** Takes up how far a delivery had got. @returns false when the entry is damaged. */
  restoreFlight(session: Session, key: string, value: Uint8Array): boolean {
    const { messageId, released } = parseObject(value) ?? {};
    if (typeof messageId !== "number") return false;
    this.#takeOff(session, { ordinal: ordinalOf(key), messageId, released: released === true });
    return true;
  }

  /**
   * Queues a message under its ordinal; on disk with the journal's next batch. Over the bounds it is dropped.
   * @returns how to take it back, should that batch fail
   */
  enqueue(
    session: Session,
    ordinal: string,
    message: Message,
    match?: Partial<Match>,
  ): (() => void) | undefined {
    const { clock, journal } = this.#parts;
    const lifetime = lifetimeOf(message, clock);
    const identifier = session.subscriptions.get(match?.topic ?? "")?.subscriptionIdentifier;
    const value = encodeMessage(
      {
        ...message,
        qos: Math.min(message.qos, match?.qos ?? message.qos),
        // Only who asked for it hears that a message was retained (MQTT 5 section 3.3.1.3).
        retain: message.retain && match?.rap === true,
        ...(identifier === undefined
          ? {}
          : { properties: { ...message.properties, subscriptionIdentifier: identifier } }),
      },
      lifetime === undefined ? {} : { lifetime },
    );
    const bytes = value.length + OVERHEAD_BYTES;
    if (!this.#fits(session, bytes)) return undefined;
    this.#count(session, 1, bytes);
    session.lastOrdinal = ordinal;
    const key = queueKey(session.number, ordinal);
    journal.put(key, value);
    return () => this.#remove(session, key, value);
  }

  /**
   * What is queued, oldest first, read page by page, and what is queued meanwhile too, until nothing is left.
   * @param inFlightMax of what this brings, so many at once are unacknowledged (MQTT 5 section 3.1.2.11.3)
   */
  async *stream(session: Session, inFlightMax: number): AsyncGenerator<Queued> {
    const { store, journal } = this.#parts;
    const { drain } = session;
    const { connection } = drain;
    const newest = session.lastOrdinal;
    drain.position = "";
    const window = new Window(session, inFlightMax);
    try {
      while (session.queuedMessages > 0) {
        const seen = session.lastOrdinal;
        await journal.flush();
        const page = await store.range({
          gte: queueKey(session.number, drain.position === "" ? "" : `${drain.position}!`),
          lt: queueKey(session.number, "~"),
          ...PAGE,
        });
        for (const [key, value] of page) {
          await window.room();
          if (drain.connection !== connection) return;
          drain.position = ordinalOf(key);
          // Acknowledged, while the store does not know it yet.
          if (journal.pending(key) === null) continue;
          const queued = this.#queued(session, key, value);
          if (queued === undefined) continue;
          if (drain.position > newest) drain.sent.add(drain.position);
          window.take(drain.position);
          yield queued;
        }
        if (page.length === 0 && session.lastOrdinal === seen) return;
      }
    } finally {
      if (drain.connection === connection) drain.active = false;
    }
  }

  /**
   * The message is about to be sent under its id. Delivered at QoS 2, that is on disk when this resolves.
   * @returns whether it was sent before. @throws StoreError
   */
  async sending(session: Session, ordinal: string, message: Message): Promise<boolean> {
    const known = session.flightsByOrdinal.get(ordinal);
    if (known !== undefined) return true;
    const messageId = freeId(session, message.messageId ?? 1);
    // Aedes counts ids without looking which ones are in use.
    message.messageId = messageId;
    const flight: Flight = { ordinal, messageId, released: false };
    this.#takeOff(session, flight);
    if (message.qos === 2) await this.#note(session, flight);
    return false;
  }

  /** PUBREC came: from now on only PUBREL is sent, after a restart too. @throws StoreError */
  async release(session: Session, messageId: number): Promise<void> {
    const flight = session.flights.get(messageId);
    if (flight === undefined) return;
    flight.released = true;
    await this.#note(session, flight);
  }

  /** The receiver has it. @returns the message. @throws StoreError */
  async acknowledged(session: Session, messageId: number): Promise<Message | undefined> {
    const flight = session.flights.get(messageId);
    if (flight === undefined) return undefined;
    const message = await this.drop(session, flight.ordinal);
    return message === undefined ? undefined : { ...message, messageId };
  }

  /** Takes a message out of the queue. @returns the message. @throws StoreError */
  async drop(session: Session, ordinal: string): Promise<Message | undefined> {
    const key = queueKey(session.number, ordinal);
    const { journal, store } = this.#parts;
    const flight = session.flightsByOrdinal.get(ordinal);
    if (flight !== undefined) this.#land(session, flight);
    const pending = journal.pending(key);
    const value = pending === undefined ? await store.get(key) : (pending ?? undefined);
    if (value === undefined) return undefined;
    this.#remove(session, key, value);
    const decoded = decodeMessage(value);
    return decoded === undefined ? undefined : this.#ofRun(ordinal, decoded.message);
  }

  /** Forgets everything that is queued for a session that has ended. @throws StoreError */
  async forget(session: Session): Promise<void> {
    const { journal, store } = this.#parts;
    this.#count(session, -session.queuedMessages, -session.queuedBytes);
    for (const { ordinal } of session.flightsByOrdinal.values())
      journal.delete(flightKey(session.number, ordinal));
    await journal.flush();
    const range = { gte: queueKey(session.number, ""), lt: queueKey(session.number, "~") };
    for (let from = range.gte; ; ) {
      const page = await store.range({ ...range, gte: from, ...PAGE });
      const last = page.at(-1);
      if (last === undefined) return;
      for (const [key] of page) journal.delete(key);
      from = `${last[0]}!`;
    }
  }

  #queued(session: Session, key: string, value: Uint8Array): Queued | undefined {
    const ordinal = ordinalOf(key);
    const flight = session.flightsByOrdinal.get(ordinal);
    if (flight?.released === true) return { cmd: "pubrel", messageId: flight.messageId };
    const decoded = decodeMessage(value);
    if (decoded === undefined) {
      this.#count(session, -1, -(value.length + OVERHEAD_BYTES));
      this.#parts.setAside(key, value);
      return undefined;
    }
    const message = this.#ofRun(ordinal, decoded.message);
    message.messageId = flight?.messageId;
    // What was sent once is sent again with its id, expired or not.
    if (flight !== undefined) return message;
    if (stampExpiry(message, lifetimeIn(decoded.notes), this.#parts.clock)) return message;
    this.#expired++;
    this.#remove(session, key, value);
    return undefined;
  }

  #ofRun(ordinal: string, message: Message): Message {
    const { epoch, counter } = parseOrdinal(ordinal);
    message.brokerId = this.#parts.brokerIdOf(epoch);
    message.brokerCounter = counter;
    return message;
  }

  #fits(session: Session, bytes: number): boolean {
    const { queuedBytesPerSessionMax, queuedBytesMax } = this.#parts.limits;
    const all = this.#bytes + bytes <= queuedBytesMax;
    if (all && session.queuedBytes + bytes <= queuedBytesPerSessionMax) return true;
    this.#dropped++;
    const { clientId, queuedMessages, queuedBytes } = session;
    if (!all) this.#full.voice({ queuedBytes: this.#bytes, queuedBytesMax });
    else if (!session.overflowed)
      this.#parts.logger.warn(
        "messages for an MQTT session dropped: mqtt.broker.queuedBytesPerSessionMax is reached",
        { clientId, queuedMessages, queuedBytes, queuedBytesPerSessionMax },
      );
    session.overflowed = true;
    return false;
  }

  #count(session: Session, messages: number, bytes: number): void {
    session.queuedMessages += messages;
    session.queuedBytes += bytes;
    this.#messages += messages;
    this.#bytes += bytes;
    if (bytes < 0) this.#full.over();
  }

  #remove(session: Session, key: string, value: Uint8Array): void {
    this.#parts.journal.delete(key);
    this.#count(session, -1, -(value.length + OVERHEAD_BYTES));
  }

  #takeOff(session: Session, flight: Flight): void {
    session.flights.set(flight.messageId, flight);
    session.flightsByOrdinal.set(flight.ordinal, flight);
  }

  #land(session: Session, flight: Flight): void {
    session.flights.delete(flight.messageId);
    session.flightsByOrdinal.delete(flight.ordinal);
    session.drain.changed(flight.ordinal);
    this.#parts.journal.delete(flightKey(session.number, flight.ordinal));
  }

  async #note(session: Session, { ordinal, messageId, released }: Flight): Promise<void> {
    const value = Buffer.from(JSON.stringify({ messageId, released }));
    this.#parts.journal.put(flightKey(session.number, ordinal), value);
    await this.#parts.journal.durable();
  }
}

/** How many of a stream's messages are on their way. */
class Window {
  readonly #session: Session;
  readonly #max: number;
  readonly #open = new Set<string>();
  #wake: () => void = () => undefined;

  constructor(session: Session, max: number) {
    this.#session = session;
    this.#max = max;
    session.drain.changed = (ordinal) => {
      if (ordinal !== undefined) this.#open.delete(ordinal);
      this.#wake();
    };
  }

  take(ordinal: string): void {
    this.#open.add(ordinal);
  }

  /** Resolves when one more may be sent, or the connection is gone. */
  async room(): Promise<void> {
    const { drain } = this.#session;
    const { connection } = drain;
    while (this.#open.size >= this.#max && drain.connection === connection)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
  }
}

/** @returns the wanted message id, or the next one that the session does not use. */
function freeId(session: Session, wanted: number): number {
  let id = wanted;
  for (let tries = 0; tries < MESSAGE_IDS && session.flights.has(id); tries++)
    id = id >= MESSAGE_IDS ? 1 : id + 1;
  return id;
}
