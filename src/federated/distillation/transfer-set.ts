import type { Random } from "../../platform/random.ts";
import { standardNormal } from "../strategies/elementary.ts";

/** What is told of a client's samples instead of the samples: of each feature its mean and its squared deviations. */
export interface FeatureStatistics {
  readonly count: number;
  readonly means: Float64Array;
  /** Sums of the squared distances from the mean. */
  readonly deviations: Float64Array;
}

/** @returns the statistics of samples of `size` features each, in one pass (Welford 1962) */
export function featureStatistics(features: Float32Array, size: number): FeatureStatistics {
  const count = Math.floor(features.length / size);
  const means = new Float64Array(size);
  const deviations = new Float64Array(size);
  for (let row = 0; row < count; row++)
    for (let at = 0; at < size; at++) {
      const value = features[row * size + at] ?? 0;
      const off = value - (means[at] ?? 0);
      means[at] = (means[at] ?? 0) + off / (row + 1);
      deviations[at] = (deviations[at] ?? 0) + off * (value - (means[at] ?? 0));
    }
  return { count, means, deviations };
}

/** @returns the statistics of both together, without their samples (Chan, Golub and LeVeque 1983) */
export function mergeStatistics(
  one: FeatureStatistics,
  other: FeatureStatistics,
): FeatureStatistics {
  const count = one.count + other.count;
  if (count === 0) return one;
  const share = other.count / count;
  const means = one.means.map((mean, at) => mean + ((other.means[at] ?? 0) - mean) * share);
  const deviations = one.deviations.map((sum, at) => {
    const off = (other.means[at] ?? 0) - (one.means[at] ?? 0);
    return sum + (other.deviations[at] ?? 0) + off * off * one.count * share;
  });
  return { count, means, deviations };
}

/**
 * Samples that nobody measured, for models to compare their answers on where there are no public ones: each feature is drawn
 * by itself from a normal distribution with the fleet's mean and variance.
 * @returns `count` times the number of features; the same for all who draw from the same chance
 */
export function generateTransferSet(
  { count: seen, means, deviations }: FeatureStatistics,
  count: number,
  random: Random,
): Float32Array {
  const size = means.length;
  const spread = deviations.map((sum) => Math.sqrt(sum / Math.max(1, seen)));
  return Float32Array.from(
    { length: count * size },
    (_, at) => (means[at % size] ?? 0) + (spread[at % size] ?? 0) * standardNormal(random),
  );
}
