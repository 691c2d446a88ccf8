import type { Clock } from "../platform/clock.ts";
import type { Update } from "./update.ts";

type Age = Pick<Update, "bootId" | "monotonicMs" | "observedAtMs" | "observedAtTrusted">;

/**
 * How old an update is at least, in milliseconds. Within one boot the monotonic clock tells exactly. Across
 * boots the wall clock tells if it could be trusted both times; otherwise the update is at least as old as
 * this boot, and nothing more is claimed.
 */
export function ageMs(update: Age, clock: Clock): number {
  const monotonicMs = clock.monotonicMs();
  if (update.bootId === clock.bootId) return Math.max(0, monotonicMs - update.monotonicMs);
  if (update.observedAtTrusted && clock.wallTrusted())
    return Math.max(monotonicMs, clock.wallMs() - update.observedAtMs);
  return monotonicMs;
}

/** @returns whether the update has outlived its own `expiresAfterMs`. */
export function isExpired(update: Age & Pick<Update, "expiresAfterMs">, clock: Clock): boolean {
  const limitMs = update.expiresAfterMs ?? 0;
  return limitMs > 0 && ageMs(update, clock) > limitMs;
}
