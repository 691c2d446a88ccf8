/**
 * Where the broker's memory stands in the store. `session` is a number that no session had before, so that
 * what a crash left of an earlier one is never taken for the queue of a new one.
 *
 * | key | value |
 * | --- | --- |
 * | `b/epoch` | how often the broker has been started |
 * | `b/s/` session | a session: client id, subscriptions, when its client left |
 * | `b/q/` session / epoch counter | a queued message, in order of arrival |
 * | `b/f/` session / epoch counter | how far a QoS 2 delivery of it has got |
 * | `b/i/` session / message id | a QoS 2 message taken and not yet released by its publisher |
 * | `b/r/` topic | a retained message |
 * | `b/w/` client id | a will |
 * | `b/x/` key | what could not be read, set aside |
 */
export const EPOCH_KEY = "b/epoch";
/** Keys of sessions. */
export const SESSIONS = { gte: "b/s/", lt: "b/s0" } as const;
/** Keys of retained messages. */
export const RETAINED = { gte: "b/r/", lt: "b/r0" } as const;
/** Keys of wills. */
export const WILLS = { gte: "b/w/", lt: "b/w0" } as const;
/** Keys of what was set aside. */
export const DAMAGED = { gte: "b/x/", lt: "b/x0" } as const;
/** Keys of queued messages. */
export const QUEUES = { gte: "b/q/", lt: "b/q0" } as const;
/** Keys of QoS 2 deliveries under way. */
export const FLIGHTS = { gte: "b/f/", lt: "b/f0" } as const;
/** Keys of QoS 2 messages that wait for PUBREL. */
export const INCOMING = { gte: "b/i/", lt: "b/i0" } as const;

const padded = (value: number, digits: number): string => value.toString(36).padStart(digits, "0");

/** @returns the part of a key that names a session. */
export function sessionPart(session: number): string {
  return padded(session, 6);
}

/** @returns the number of the session that a key of {@link QUEUES}, {@link FLIGHTS} or {@link INCOMING} belongs to. */
export function sessionOf(key: string): number {
  return Number.parseInt(key.slice(4, 10), 36);
}

/** @returns the key of a session. */
export function sessionKey(session: number): string {
  return SESSIONS.gte + sessionPart(session);
}

/** @returns where a message stands: start of the broker, then the count of messages since. */
export function ordinalPart(epoch: number, counter: number): string {
  return padded(epoch, 5) + padded(counter, 9);
}

/** @returns start and count of an ordinal. */
export function parseOrdinal(ordinal: string): { epoch: number; counter: number } {
  return {
    epoch: Number.parseInt(ordinal.slice(0, 5), 36),
    counter: Number.parseInt(ordinal.slice(5), 36),
  };
}

/** @returns the key of a queued message. */
export function queueKey(session: number, ordinal: string): string {
  return `${QUEUES.gte}${sessionPart(session)}/${ordinal}`;
}

/** @returns the key of a QoS 2 delivery. */
export function flightKey(session: number, ordinal: string): string {
  return `${FLIGHTS.gte}${sessionPart(session)}/${ordinal}`;
}

/** @returns the ordinal in a key of {@link QUEUES} or {@link FLIGHTS}. */
export function ordinalOf(key: string): string {
  return key.slice(11);
}

/** @returns the key of a QoS 2 message that waits for PUBREL. */
export function incomingKey(session: number, messageId: number): string {
  return `${INCOMING.gte}${sessionPart(session)}/${padded(messageId, 4)}`;
}

/** @returns the message id in a key of {@link INCOMING}. */
export function messageIdOf(key: string): number {
  return Number.parseInt(key.slice(11), 36);
}

/** Keys are ASCII; topics and client ids need not be. */
export function retainedKey(topic: string): string {
  return RETAINED.gte + encodeURIComponent(topic.toWellFormed());
}

/** @returns the key of a client's will. */
export function willKey(clientId: string): string {
  return WILLS.gte + encodeURIComponent(clientId.toWellFormed());
}
