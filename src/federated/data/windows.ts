import { DataError } from "./data-error.ts";

/** Readings of one device: at each moment a value for each channel. */
export interface Series {
  /** Milliseconds, ascending. */
  readonly atMs: Float64Array;
  /** Channel by channel within a moment: `atMs.length * channels` values. NaN where one is missing. */
  readonly values: Float32Array;
  readonly channels: number;
}

/** How windows are cut. */
export interface WindowOptions {
  /** Readings in a window. */
  readonly length: number;
  /** Readings from the beginning of one window to that of the next. */
  readonly step: number;
  /** A longer silence ends a window: none reaches across it. */
  readonly gapMsMax: number;
  /** So many missing values in a row are filled with the last one of the channel; more end the window. */
  readonly fillMax: number;
  /** `window`: mean 0 and variance 1 for each channel of each window; `none`: as they are. */
  readonly normalize: "window" | "none";
}

/** Windows one after the other: a model's features of shape `[length, channels]`. */
export interface Windows {
  readonly count: number;
  readonly features: Float32Array;
  /** When each begins. */
  readonly atMs: Float64Array;
}

/** Whole windows of one series take no more memory than this. */
const VALUES_MAX = 100_000_000;

/**
 * Cuts a series into windows. A window holds readings that follow each other without a gap and without more missing values
 * than may be filled; what begins with a missing value is left out, since there is nothing to fill it with.
 *
 * @throws DataError `data.setting` naming the option, or `data.too-large`
 */
export function windowsOf(series: Series, options: WindowOptions): Windows {
  const { length, step, normalize } = options;
  mustBeSize("length", length);
  mustBeSize("step", step);
  const { atMs, channels } = series;
  if (series.values.length !== atMs.length * channels)
    throw new DataError(
      "data.setting",
      `values: ${atMs.length} moments of ${channels} channels, not ${series.values.length} values`,
    );
  const starts: number[] = [];
  const { filled, runs } = fill(series, options);
  for (const [from, to] of runs)
    for (let start = from; start + length <= to; start += step) starts.push(start);
  const size = length * channels;
  if (starts.length * size > VALUES_MAX)
    throw new DataError(
      "data.too-large",
      `${starts.length} windows of ${size} values, ${VALUES_MAX} at most: take a larger step`,
    );
  const features = new Float32Array(starts.length * size);
  for (const [at, start] of starts.entries()) {
    const window = features.subarray(at * size, (at + 1) * size);
    window.set(filled.subarray(start * channels, start * channels + size));
    if (normalize === "window") normalizeChannels(window, channels);
  }
  return {
    count: starts.length,
    features,
    atMs: Float64Array.from(starts, (start) => atMs[start] ?? 0),
  };
}

/** Fills what may be filled. @returns runs of readings from one place to below another without a gap */
function fill(
  { atMs, values, channels }: Series,
  { gapMsMax, fillMax }: WindowOptions,
): { readonly filled: Float32Array; readonly runs: readonly (readonly [number, number])[] } {
  const filled = values.slice();
  const runs: [number, number][] = [];
  const missing = new Int32Array(channels);
  let from = 0;
  const end = (at: number, next: number): void => {
    if (at > from) runs.push([from, at]);
    from = next;
    missing.fill(0);
  };
  for (let at = 0; at < atMs.length; at++) {
    const sinceMs = at === 0 ? 0 : (atMs[at] as number) - (atMs[at - 1] as number);
    if (sinceMs < 0)
      throw new DataError("data.setting", `atMs: reading ${at} is older than the one before it`);
    if (sinceMs > gapMsMax) end(at, at);
    for (let channel = 0; channel < channels; channel++) {
      const place = at * channels + channel;
      if (Number.isFinite(filled[place])) {
        missing[channel] = 0;
        continue;
      }
      missing[channel] = (missing[channel] as number) + 1;
      if (at === from || (missing[channel] as number) > fillMax) {
        end(at, at + 1);
        break;
      }
      filled[place] = filled[place - channels] as number;
    }
  }
  end(atMs.length, atMs.length);
  return { filled, runs };
}

function normalizeChannels(window: Float32Array, channels: number): void {
  const steps = window.length / channels;
  for (let channel = 0; channel < channels; channel++) {
    let mean = 0;
    for (let at = channel; at < window.length; at += channels)
      mean += (window[at] as number) / steps;
    let variance = 0;
    for (let at = channel; at < window.length; at += channels)
      variance += ((window[at] as number) - mean) ** 2 / steps;
    // A channel that stands still says nothing: zeros.
    const scale = variance < 1e-12 ? 0 : 1 / Math.sqrt(variance);
    for (let at = channel; at < window.length; at += channels)
      window[at] = ((window[at] as number) - mean) * scale;
  }
}

function mustBeSize(name: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 1)
    throw new DataError("data.setting", `${name}: a whole number above 0, not ${value}`);
}
