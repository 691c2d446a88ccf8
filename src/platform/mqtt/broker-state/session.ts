import type { Moment } from "../../moment.ts";
import { isMoment } from "./lifetime.ts";
import { parseObject } from "./packet.ts";
import type { Subscription } from "./subscription-tree.ts";

/** A QoS 1 or 2 message that was sent to the session's client and not yet acknowledged to the end. */
export interface Flight {
  readonly ordinal: string;
  readonly messageId: number;
  /** PUBREC came, PUBREL went. */
  released: boolean;
}

/** What was queued while the client was away is sent before anything new. */
export interface Drain {
  /** Counts connections: what belongs to an earlier one ends. */
  connection: number;
  /** While true, new messages wait in the queue for their turn. */
  active: boolean;
  /** How far the queue has been read. */
  position: string;
  /** Came while the queue was being sent, and were sent from there. */
  readonly sent: Set<string>;
  /** Called when a message has been acknowledged, or the connection is gone. */
  changed: (ordinal?: string) => void;
}

/** What outlives a connection (MQTT 5 section 4.1). The messages themselves are on disk. */
export interface Session {
  readonly number: number;
  readonly clientId: string;
  readonly subscriptions: Map<string, Subscription>;
  /** How long it lasts without its client. */
  expirySeconds: number;
  /** When its client left; undefined while it is here. */
  leftAt: Moment | undefined;
  queuedMessages: number;
  queuedBytes: number;
  lastOrdinal: string;
  /** Something was dropped since the client was last here. */
  overflowed: boolean;
  readonly flights: Map<number, Flight>;
  readonly flightsByOrdinal: Map<string, Flight>;
  readonly drain: Drain;
  /** Ids of QoS 2 messages taken from the client and not yet released by it. */
  readonly incoming: Set<number>;
}

/** @returns a session without anything in it yet. */
export function newSession(number: number, clientId: string, expirySeconds: number): Session {
  return {
    number,
    clientId,
    subscriptions: new Map(),
    expirySeconds,
    leftAt: undefined,
    queuedMessages: 0,
    queuedBytes: 0,
    lastOrdinal: "",
    overflowed: false,
    flights: new Map(),
    flightsByOrdinal: new Map(),
    drain: {
      connection: 0,
      active: false,
      position: "",
      sent: new Set(),
      changed: () => undefined,
    },
    incoming: new Set(),
  };
}

/** @returns the bytes of a session's entry in the store. */
export function encodeSession(session: Session): Buffer {
  const { clientId, expirySeconds, leftAt, subscriptions } = session;
  return Buffer.from(
    JSON.stringify({ clientId, expirySeconds, leftAt, subscriptions: [...subscriptions.values()] }),
  );
}

/** @returns the session that an entry of the store holds, or undefined when it is damaged. */
export function decodeSession(number: number, bytes: Uint8Array): Session | undefined {
  const { clientId, expirySeconds, leftAt, subscriptions } = parseObject(bytes) ?? {};
  if (typeof clientId !== "string" || typeof expirySeconds !== "number") return undefined;
  if (!Array.isArray(subscriptions) || !subscriptions.every(isSubscription)) return undefined;
  const session = newSession(number, clientId, expirySeconds);
  for (const subscription of subscriptions)
    session.subscriptions.set(subscription.topic, subscription);
  session.leftAt = isMoment(leftAt) ? leftAt : undefined;
  return session;
}

function isSubscription(value: unknown): value is Subscription {
  const { topic, qos } = (value ?? {}) as Partial<Subscription>;
  return typeof topic === "string" && typeof qos === "number";
}

/** @returns whether a message of that ordinal is not the queue's to send. */
export function isFree({ drain }: Session, ordinal: string): boolean {
  return !drain.sent.has(ordinal) && !(drain.active && ordinal > drain.position);
}
