import type { Series } from "../data/windows.ts";
import type { StreamBinding } from "./binding.ts";

/**
 * Puts the steps at which nothing was heard back between those at which something was, as missing values, so that a window of
 * so many values always is one of so much time. Silences that may not be filled stay as they are: they end a window.
 *
 * @param series at steps of the grid; a history never spans more of them than it may hold
 */
export function regularSeries(
  series: Series,
  { everyMs, fillMax, gapMsMax }: Pick<StreamBinding, "everyMs" | "fillMax" | "gapMsMax">,
): Series {
  const { atMs, values, channels } = series;
  const missingMax = Math.min(fillMax, Math.floor(gapMsMax / everyMs) - 1);
  const missingAt = (at: number): number => {
    if (at === 0) return 0;
    const missing = Math.round(((atMs[at] as number) - (atMs[at - 1] as number)) / everyMs) - 1;
    return missing <= missingMax ? missing : 0;
  };
  let count = atMs.length;
  for (let at = 0; at < atMs.length; at++) count += missingAt(at);
  if (count === atMs.length) return series;
  const regular = {
    atMs: new Float64Array(count),
    values: new Float32Array(count * channels).fill(Number.NaN),
    channels,
  };
  let place = 0;
  for (let at = 0; at < atMs.length; at++) {
    for (let missing = missingAt(at); missing > 0; missing--)
      regular.atMs[place++] = (atMs[at] as number) - missing * everyMs;
    regular.atMs[place] = atMs[at] as number;
    regular.values.set(values.subarray(at * channels, (at + 1) * channels), place * channels);
    place++;
  }
  return regular;
}
