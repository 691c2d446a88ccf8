import type { Clock, Timer } from "../../clock.ts";
import type { Logger } from "../../logger.ts";
import { elapsedMs, momentOf } from "../../moment.ts";
import type { Journal } from "./journal.ts";
import { incomingKey, sessionKey } from "./keys.ts";
import { Complaint, type StateLimits } from "./limits.ts";
import { decodeSession, encodeSession, newSession, type Session } from "./session.ts";
import { type Match, type Subscription, SubscriptionTree } from "./subscription-tree.ts";

const SWEEP_MS = 30_000;

/** What {@link Sessions} is made of. */
export interface SessionsParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: StateLimits;
  readonly journal: Journal;
  /** Called when a session has ended: what is queued for it is nobody's any more. */
  readonly ended: (session: Session) => void;
}

/** Sessions that outlive their connections, their subscriptions, and when they end. */
export class Sessions {
  readonly #parts: SessionsParts;
  readonly #byClient = new Map<string, Session>();
  readonly #byNumber = new Map<number, Session>();
  readonly #tree = new SubscriptionTree();
  readonly #tooMany: Complaint;
  readonly #tooManySubscriptions: Complaint;
  #nextNumber = 1;
  /** Grows with every subscription that comes. */
  generation = 0;
  #sweeping: Timer | undefined;

  constructor(parts: SessionsParts) {
    this.#parts = parts;
    this.#tooMany = new Complaint(
      parts.logger,
      "an MQTT session will not outlive its connection: mqtt.broker.sessionsMax is reached",
    );
    this.#tooManySubscriptions = new Complaint(
      parts.logger,
      "MQTT subscriptions will not outlive their connection: mqtt.broker.subscriptionsPerSessionMax is reached",
    );
  }

  get size(): number {
    return this.#byClient.size;
  }

  /** QoS 1 and 2 subscriptions of all of them. */
  get subscriptions(): number {
    return this.#tree.size;
  }

  /** Takes an entry of the store. @returns false when it is damaged. */
  restore(number: number, value: Uint8Array): boolean {
    this.notice(number);
    const session = decodeSession(number, value);
    if (session === undefined) return false;
    // Its client was connected when the last run of the broker ended; it is away since now at the latest.
    session.leftAt ??= momentOf(this.#parts.clock);
    this.#keep(session);
    for (const subscription of session.subscriptions.values()) this.#grow(session, subscription);
    return true;
  }

  /** Never gives this number to a new session. */
  notice(number: number): void {
    this.#nextNumber = Math.max(this.#nextNumber, number + 1);
  }

  get(clientId: string): Session | undefined {
    return this.#byClient.get(clientId);
  }

  byNumber(number: number): Session | undefined {
    return this.#byNumber.get(number);
  }

  all(): IterableIterator<Session> {
    return this.#byClient.values();
  }

  match(topic: string): Match[] {
    return this.#tree.match(topic);
  }

  matches(topic: string): boolean {
    return this.#tree.has(topic);
  }

  /** @returns the client's session, a new one if there is room, or undefined. */
  open(clientId: string, expirySeconds: number | undefined): Session | undefined {
    const known = this.#byClient.get(clientId);
    if (known !== undefined) return known;
    const { sessionsMax, sessionExpirySecondsMax } = this.#parts.limits;
    if (this.#byClient.size >= sessionsMax) {
      this.#tooMany.voice({ clientId, sessionsMax });
      return undefined;
    }
    const session = newSession(
      this.#nextNumber++,
      clientId,
      Math.min(expirySeconds ?? sessionExpirySecondsMax, sessionExpirySecondsMax),
    );
    this.#keep(session);
    this.save(session);
    return session;
  }

  /** Adds or replaces subscriptions; on disk with the journal's next batch. */
  subscribe(session: Session, subscriptions: readonly Subscription[]): void {
    let changed = false;
    const { subscriptionsPerSessionMax } = this.#parts.limits;
    for (const subscription of subscriptions) {
      const old = session.subscriptions.get(subscription.topic);
      if (old === undefined && session.subscriptions.size >= subscriptionsPerSessionMax) {
        const { clientId } = session;
        this.#tooManySubscriptions.voice({ clientId, subscriptionsPerSessionMax });
        continue;
      }
      if (old !== undefined && JSON.stringify(old) === JSON.stringify(subscription)) continue;
      changed = true;
      if (old !== undefined) this.#tree.remove(old.topic, session.clientId);
      session.subscriptions.set(subscription.topic, subscription);
      this.#grow(session, subscription);
    }
    if (changed) this.save(session);
  }

  /** Removes subscriptions. @returns whether none are left. */
  unsubscribe(session: Session, filters: readonly string[]): boolean {
    let changed = false;
    for (const filter of filters) {
      if (!session.subscriptions.delete(filter)) continue;
      this.#tree.remove(filter, session.clientId);
      changed = true;
    }
    if (changed) this.save(session);
    return session.subscriptions.size === 0;
  }

  /** Its client is here: the session will not expire. */
  arrived(clientId: string): void {
    const session = this.#byClient.get(clientId);
    if (session === undefined) return;
    session.leftAt = undefined;
    session.overflowed = false;
    turnOver(session, session.queuedMessages > 0);
    this.save(session);
  }

  /** Its client is gone: the session expires after that long. */
  left(clientId: string, expirySeconds: number): void {
    const session = this.#byClient.get(clientId);
    if (session === undefined) return;
    session.leftAt = momentOf(this.#parts.clock);
    session.expirySeconds = expirySeconds;
    turnOver(session, false);
    this.save(session);
  }

  /** Seconds until the client's session ends; 0 when it has none. */
  secondsLeft(clientId: string): number {
    const session = this.#byClient.get(clientId);
    return session === undefined ? 0 : Math.max(0, this.#remainingMs(session) / 1_000);
  }

  /** Forgets a session, its subscriptions, and by way of `ended` its messages. */
  end(session: Session): void {
    this.#byClient.delete(session.clientId);
    this.#byNumber.delete(session.number);
    for (const filter of session.subscriptions.keys()) this.#tree.remove(filter, session.clientId);
    for (const messageId of session.incoming)
      this.#parts.journal.delete(incomingKey(session.number, messageId));
    this.#parts.journal.delete(sessionKey(session.number));
    turnOver(session, false);
    this.#tooMany.over();
    this.#parts.ended(session);
  }

  /** Ends sessions whose time is over, now and every so often. */
  sweep(): void {
    for (const session of this.#byClient.values())
      if (session.leftAt !== undefined && this.#remainingMs(session) <= 0) {
        this.#parts.logger.debug("MQTT session expired", { clientId: session.clientId });
        this.end(session);
      }
    this.#sweeping = this.#parts.clock.setTimer("broker-state.sweep", SWEEP_MS, () => this.sweep());
  }

  stop(): void {
    this.#sweeping?.cancel();
    const here = [...this.#byClient.values()].filter(({ leftAt }) => leftAt === undefined);
    for (const { clientId, expirySeconds } of here) this.left(clientId, expirySeconds);
  }

  save(session: Session): void {
    this.#parts.journal.put(sessionKey(session.number), encodeSession(session));
  }

  #keep(session: Session): void {
    this.#byClient.set(session.clientId, session);
    this.#byNumber.set(session.number, session);
  }

  #grow({ clientId }: Session, subscription: Subscription): void {
    this.generation++;
    // QoS 0 messages are not kept for those who are away.
    if (subscription.qos === 0) return;
    const { topic, qos, rh, rap, nl } = subscription;
    this.#tree.add({ clientId, topic, qos, ...defined({ rh, rap, nl }) });
  }

  #remainingMs({ leftAt, expirySeconds }: Session): number {
    const { limits, clock } = this.#parts;
    const totalMs = Math.min(expirySeconds, limits.sessionExpirySecondsMax) * 1_000;
    return leftAt === undefined ? totalMs : totalMs - elapsedMs(leftAt, clock);
  }
}

/** Another connection, or none: what the one before waited for will not come. */
function turnOver({ drain }: Session, active: boolean): void {
  drain.connection++;
  drain.active = active;
  drain.position = "";
  drain.sent.clear();
  drain.changed();
}

/** @returns the object without what is undefined. */
function defined<T extends object>(value: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  return Object.fromEntries(
    Object.entries(value).filter(([, inner]) => inner !== undefined),
  ) as ReturnType<typeof defined<T>>;
}
