/** Queue depth at a moment of the browser's clock. */
export interface QueueDepth {
  readonly atMs: number;
  readonly updates: number;
}

const KEPT_MS = 300_000;
const TREND_MS = 12_000;

/** The depths with one more, at most five minutes of them. */
export function withDepth(
  depths: readonly QueueDepth[],
  atMs: number,
  updates: number,
): readonly QueueDepth[] {
  return [...depths.filter((depth) => depth.atMs > atMs - KEPT_MS), { atMs, updates }].slice(-200);
}

/**
 * Where the queue is heading, in words: `draining, empty in about 40 s`, `growing by 12 per second`.
 * Undefined while there is too little to tell or it holds steady.
 */
export function trendOf(
  depths: readonly QueueDepth[],
  formatDuration: (ms: number) => string,
): string | undefined {
  const last = depths.at(-1);
  if (last === undefined || last.updates === 0) return undefined;
  const first = depths.find(({ atMs }) => atMs >= last.atMs - TREND_MS);
  if (first === undefined || last.atMs - first.atMs < TREND_MS / 3) return undefined;
  const perSecond = ((last.updates - first.updates) / (last.atMs - first.atMs)) * 1000;
  if (Math.abs(perSecond) < 0.5) return undefined;
  const rate = Math.round(Math.abs(perSecond)) || 1;
  if (perSecond > 0) return `growing by ${rate} per second`;
  return `draining, empty in about ${formatDuration((last.updates / -perSecond) * 1000)}`;
}
