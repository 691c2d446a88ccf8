import type { Clock } from "./clock.ts";

/** A point in time as a device can know it: both clocks, and how far each can be relied on. */
export interface Moment {
  readonly wallMs: number;
  readonly wallTrusted: boolean;
  readonly monotonicMs: number;
  readonly bootId: string;
}

/** @returns this very moment, in a form that outlives the process. */
export function momentOf(clock: Clock): Moment {
  return {
    wallMs: clock.wallMs(),
    wallTrusted: clock.wallTrusted(),
    monotonicMs: clock.monotonicMs(),
    bootId: clock.bootId,
  };
}

/**
 * Milliseconds that have gone by since then, at least. Within one boot the monotonic clock tells exactly;
 * across boots the wall clock does if it could be trusted both times; otherwise it is no less than this
 * boot has lasted, and nothing more is claimed. So a clock that jumps makes nothing old.
 */
export function elapsedMs(since: Moment, clock: Clock): number {
  const monotonicMs = clock.monotonicMs();
  if (since.bootId === clock.bootId) return Math.max(0, monotonicMs - since.monotonicMs);
  if (since.wallTrusted && clock.wallTrusted())
    return Math.max(monotonicMs, clock.wallMs() - since.wallMs);
  return monotonicMs;
}
