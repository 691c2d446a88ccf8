import type { Clock } from "../../clock.ts";
import { elapsedMs, type Moment, momentOf } from "../../moment.ts";
import type { Message, Notes } from "./packet.ts";

/**
 * MQTT 5 message expiry (section 3.3.2.3.3) that a jumping clock can not cut short: kept is how long the
 * message had and the moment it was kept, not a date.
 */
export interface Lifetime {
  readonly ms: number;
  readonly from: Moment;
}

/** @returns what the message has left, or undefined when it never expires. */
export function lifetimeOf(message: Message, clock: Clock): Lifetime | undefined {
  const seconds = message.properties?.messageExpiryInterval;
  if (message.messageExpiry !== undefined)
    return { ms: Math.max(0, message.messageExpiry - clock.wallMs()), from: momentOf(clock) };
  return seconds === undefined || seconds <= 0
    ? undefined
    : { ms: seconds * 1_000, from: momentOf(clock) };
}

/** @returns milliseconds that are left; 0 when it has expired. */
export function remainingMs(lifetime: Lifetime, clock: Clock): number {
  return Math.max(0, lifetime.ms - elapsedMs(lifetime.from, clock));
}

/** Tells Aedes when the message expires. @returns false when it already has. */
export function stampExpiry(
  message: Message,
  lifetime: Lifetime | undefined,
  clock: Clock,
): boolean {
  if (lifetime === undefined) return true;
  const leftMs = remainingMs(lifetime, clock);
  if (leftMs <= 0) return false;
  message.messageExpiry = clock.wallMs() + leftMs;
  return true;
}

/** @returns the lifetime among a message's notes. */
export function lifetimeIn({ lifetime }: Notes): Lifetime | undefined {
  const { ms, from } = (lifetime ?? {}) as Partial<Lifetime>;
  return typeof ms === "number" && isMoment(from) ? { ms, from } : undefined;
}

/** @returns whether this, read from the store, is a moment. */
export function isMoment(value: unknown): value is Moment {
  const { wallMs, monotonicMs, bootId } = (value ?? {}) as Partial<Moment>;
  return (
    typeof wallMs === "number" && typeof monotonicMs === "number" && typeof bootId === "string"
  );
}
