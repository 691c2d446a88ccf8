import type { PeerId } from "../../platform/signer.ts";
import { DataError } from "../data/data-error.ts";
import type { Series } from "../data/windows.ts";
import { CHANNELS_MAX } from "./binding.ts";

/** What an agent tells of its history of one channel: how many values, their mean, and the sum of squares of what they differ from it. */
export interface ChannelMoments {
  readonly count: number;
  readonly mean: number;
  readonly m2: number;
}

/** By what channels are made comparable: `(value - mean) / deviation`. */
export interface Normalization {
  readonly mean: Float64Array;
  readonly deviation: Float64Array;
}

/**
 * How what agents tell becomes one. `median` of the means, and of each agent's spread about it, weighing nobody; `pooled`: as if
 * all values lay together, each agent by its count, for fleets whose every agent is trusted.
 */
export type NormalizationRule = "median" | "pooled";

/** Sensors show less; float32 holds its square. */
const MEAN_MAX = 1e15;
const COUNT_MAX = 2 ** 40;
const MOMENT_BYTES = 24;
/** A channel that stands still has no deviation: it is taken to have this share of its mean, or as much of one. */
const DEVIATION_SHARE_MIN = 1e-4;
/** What is further from the mean says no more, and can not throw a model's weights about. */
const DEVIATIONS_MAX = 12;

/** @returns moments of each channel of a history, what is missing left out; by two passes, so that nothing cancels */
export function momentsOf({ values, channels }: Series): readonly ChannelMoments[] {
  return Array.from({ length: channels }, (_, channel) => {
    let count = 0;
    let sum = 0;
    for (let at = channel; at < values.length; at += channels) {
      const value = bounded(values[at] as number);
      if (Number.isNaN(value)) continue;
      count++;
      sum += value;
    }
    if (count === 0) return { count: 0, mean: 0, m2: 0 };
    const mean = sum / count;
    let m2 = 0;
    for (let at = channel; at < values.length; at += channels) {
      const value = bounded(values[at] as number);
      if (!Number.isNaN(value)) m2 += (value - mean) * (value - mean);
    }
    return { count, mean, m2 };
  });
}

/** @returns for each channel 24 bytes: count, mean, m2 as float64, little-endian */
export function encodeMoments(moments: readonly ChannelMoments[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(moments.length * MOMENT_BYTES));
  for (const [at, { count, mean, m2 }] of moments.entries()) {
    view.setFloat64(at * MOMENT_BYTES, count, true);
    view.setFloat64(at * MOMENT_BYTES + 8, mean, true);
    view.setFloat64(at * MOMENT_BYTES + 16, m2, true);
  }
  return new Uint8Array(view.buffer);
}

/** @throws DataError `data.format` for other channels, and for what no history can have */
export function decodeMoments(bytes: Uint8Array, channels: number): readonly ChannelMoments[] {
  if (bytes.length !== channels * MOMENT_BYTES)
    throw broken("moments", `${bytes.length} bytes, not ${MOMENT_BYTES} for each of ${channels}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: channels }, (_, channel) => {
    const at = channel * MOMENT_BYTES;
    const count = view.getFloat64(at, true);
    const mean = view.getFloat64(at + 8, true);
    const m2 = view.getFloat64(at + 16, true);
    if (!Number.isInteger(count) || count < 0 || count > COUNT_MAX)
      throw broken("moments", `channel ${channel} has a count of ${count}`);
    if (!(Math.abs(mean) <= MEAN_MAX))
      throw broken("moments", `channel ${channel} has a mean of ${mean}`);
    if (!(m2 >= 0 && m2 <= count * 4 * MEAN_MAX * MEAN_MAX))
      throw broken("moments", `channel ${channel} has an m2 of ${m2}`);
    return { count, mean, m2 };
  });
}

/**
 * Moments of all values together, by pairs (Chan, Golub & LeVeque 1983). Exact but for rounding; the order of the
 * two decides the last bits.
 */
export function mergeMoments(one: ChannelMoments, other: ChannelMoments): ChannelMoments {
  if (one.count === 0) return other;
  if (other.count === 0) return one;
  const count = one.count + other.count;
  const apart = other.mean - one.mean;
  const mean = one.mean + (apart * other.count) / count;
  const m2 = one.m2 + other.m2 + apart * apart * ((one.count * other.count) / count);
  return { count, mean, m2 };
}

/**
 * What the agents of a task normalise by. The same bits for the same words, in whatever order they came: agents are taken in the order of
 * their ids (UTF-16 code units), and nothing but + - * / and square roots is used.
 *
 * With `median` fewer than half of the agents that have a channel can not move its mean or deviation beyond what honest ones told, however
 * many values they claim: a count is its agent's own word. An agent's spread is taken about the common mean and not about its own, so
 * that a fleet of calm sensors at different levels is not blown up by the calmest.
 *
 * @returns mean 0 and deviation 1 for a channel of which nobody has values
 */
export function agreeNormalization(
  told: ReadonlyMap<PeerId, readonly ChannelMoments[]>,
  channels: number,
  rule: NormalizationRule = "median",
): Normalization {
  const agents = [...told].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, moments]) => moments);
  const mean = new Float64Array(channels);
  const deviation = new Float64Array(channels).fill(1);
  for (let channel = 0; channel < channels; channel++) {
    const all = agents.flatMap((moments) => {
      const each = moments[channel];
      return each === undefined || each.count === 0 ? [] : [each];
    });
    if (all.length === 0) continue;
    const [centre, variance] = rule === "pooled" ? pooled(all) : medians(all);
    mean[channel] = centre;
    deviation[channel] = Math.max(
      Math.sqrt(variance),
      DEVIATION_SHARE_MIN * Math.max(1, Math.abs(centre)),
    );
  }
  return { mean, deviation };
}

/** @returns means, then deviations, as float64, little-endian: small enough to be carried by hash */
export function encodeNormalization({ mean, deviation }: Normalization): Uint8Array {
  const view = new DataView(new ArrayBuffer(16 * mean.length));
  for (const [at, value] of [...mean, ...deviation].entries()) view.setFloat64(8 * at, value, true);
  return new Uint8Array(view.buffer);
}

/** @throws DataError `data.format` for other channels, or what can not be divided by */
export function decodeNormalization(bytes: Uint8Array, channels: number): Normalization {
  if (channels < 1 || channels > CHANNELS_MAX || bytes.length !== 16 * channels)
    throw broken("normalisation", `${bytes.length} bytes, not 16 for each of ${channels} channels`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const numbers = Float64Array.from({ length: 2 * channels }, (_, at) =>
    view.getFloat64(8 * at, true),
  );
  const normalization = { mean: numbers.slice(0, channels), deviation: numbers.slice(channels) };
  if (!normalization.mean.every((value) => Math.abs(value) <= MEAN_MAX))
    throw broken("normalisation", "a mean is not finite, or too large");
  if (!normalization.deviation.every((value) => value > 0 && value <= 4 * MEAN_MAX))
    throw broken("normalisation", "a deviation is not above 0, or too large");
  return normalization;
}

/** @returns a history made comparable; what is missing stays missing */
export function normalized(series: Series, { mean, deviation }: Normalization): Series {
  const { values, channels } = series;
  const scaled = Float32Array.from(values, (value, at) => {
    const channel = at % channels;
    const scaledValue = (value - (mean[channel] ?? 0)) / (deviation[channel] ?? 1);
    return Math.max(-DEVIATIONS_MAX, Math.min(DEVIATIONS_MAX, scaledValue));
  });
  return { ...series, values: scaled };
}

/** Turns values of a model's answer into those of the sensors. @param values channel by channel within a step */
export function denormalized(
  values: Float32Array,
  { mean, deviation }: Normalization,
): Float32Array {
  const channels = mean.length;
  return values.map((value, at) => {
    const channel = at % channels;
    return value * (deviation[channel] ?? 1) + (mean[channel] ?? 0);
  });
}

function pooled(all: readonly ChannelMoments[]): readonly [number, number] {
  const { count, mean, m2 } = all.reduce(mergeMoments);
  return [mean, m2 / count];
}

function medians(all: readonly ChannelMoments[]): readonly [number, number] {
  const centre = median(all.map(({ mean }) => mean));
  const spread = median(
    all.map(({ count, mean, m2 }) => m2 / count + (mean - centre) * (mean - centre)),
  );
  return [centre, spread];
}

/** The middle one, or the mean of the two that are. @param values one at least */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  const upper = sorted[half] as number;
  if (sorted.length % 2 === 1) return upper;
  const lower = sorted[half - 1] as number;
  return lower + (upper - lower) / 2;
}

function bounded(value: number): number {
  return Math.max(-MEAN_MAX, Math.min(MEAN_MAX, value));
}

function broken(what: string, why: string): DataError {
  return new DataError("data.format", `these are no ${what} of such channels: ${why}`);
}
