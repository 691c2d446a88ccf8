import type { ResourcePoint, ResourceSnapshot } from "./model.ts";

/** What the plots show. */
export const HISTORY_WINDOW_MS = 3_600_000;
/** Never more points than a screen has pixels for. */
const POINTS_MAX = 4000;

/** A snapshot as a point of the history; what the device lacks is null, never zero. */
export function pointOf(snapshot: ResourceSnapshot): ResourcePoint {
  const { cpu, memory, thermal, battery, disk, process } = snapshot.sample;
  return {
    wallMs: snapshot.wallMs,
    cpuPercent: cpu.available ? (cpu.usedPercent ?? null) : null,
    memoryPercent: memory.available ? usedPercent(memory.totalBytes, memory.availableBytes) : null,
    celsius: thermal.available ? thermal.celsius : null,
    batteryPercent: battery.available ? (battery.chargePercent ?? null) : null,
    diskPercent: disk.available ? usedPercent(disk.totalBytes, disk.freeBytes) : null,
    residentBytes: process.available ? process.residentBytes : null,
  };
}

/** Share of a total that is used, 0–100; null for an empty total. */
export function usedPercent(total: number, free: number): number | null {
  return total > 0 ? ((total - free) / total) * 100 : null;
}

/** The history with one more point, in order of time and within the window; a repeated point replaces itself. */
export function withPoint(
  history: readonly ResourcePoint[],
  point: ResourcePoint,
): readonly ResourcePoint[] {
  const since = point.wallMs - HISTORY_WINDOW_MS;
  const kept = history.filter(({ wallMs }) => wallMs >= since && wallMs < point.wallMs);
  return [...kept, point].slice(-POINTS_MAX);
}

/** What one plot draws, and the words for those who cannot see it. */
export interface Series {
  readonly seconds: number[];
  readonly values: (number | null)[];
  readonly low: number | null;
  readonly high: number | null;
}

/**
 * One field of the history as plot columns. Where nothing was sampled for `gapMs` a null is put in, so that
 * the line breaks there instead of bridging the hole.
 */
export function seriesOf(
  history: readonly ResourcePoint[],
  field: Exclude<keyof ResourcePoint, "wallMs">,
  gapMs: number,
): Series {
  const seconds: number[] = [];
  const values: (number | null)[] = [];
  let low: number | null = null;
  let high: number | null = null;
  let previous: number | undefined;
  for (const point of history) {
    if (previous !== undefined && point.wallMs - previous > gapMs) {
      seconds.push((previous + 1) / 1000);
      values.push(null);
    }
    previous = point.wallMs;
    const value = point[field];
    seconds.push(point.wallMs / 1000);
    values.push(value);
    if (value === null) continue;
    low = low === null ? value : Math.min(low, value);
    high = high === null ? value : Math.max(high, value);
  }
  return { seconds, values, low, high };
}
