/** Ages travel in seconds; whatever is older than 30 days is as good as never heard of. */
export const AGE_MAX_S = 2_592_000;

/** @returns how long ago that was, in whole seconds, as it travels */
export function ageS(heardOfAtMs: number, nowMs: number): number {
  return Math.min(AGE_MAX_S, Math.max(0, Math.floor((nowMs - heardOfAtMs) / 1_000)));
}
