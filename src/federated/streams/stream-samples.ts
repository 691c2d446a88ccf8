import type { Samples } from "../../platform/training-backend.ts";
import { DataError } from "../data/data-error.ts";
import { type Series, type Windows, windowsOf } from "../data/windows.ts";
import { type StreamBinding, spanOf } from "./binding.ts";
import { type Normalization, normalized } from "./normalization.ts";
import { regularSeries } from "./regular-series.ts";

/** What windows are made samples with. */
export interface SampleMaking {
  /** Agreed on by the agents: with `normalize: federated` alone, and there it has to be. */
  readonly normalization?: Normalization;
  /**
   * What people said of a moment: the class with `labels: hand`. With other goals no window is learned from that touches a moment of a
   * class above 0, so that nobody teaches a model that failures are normal.
   */
  readonly labelAt?: (atMs: number) => number | undefined;
}

/** Samples of a history, parted in time. */
export interface StreamSamples {
  readonly train: Samples;
  /** The newest; none of its windows shares a moment with one of `train`. */
  readonly holdOut: Samples;
  /** The newest moment of each sample's window that is held out. */
  readonly holdOutAtMs: Float64Array;
}

/** A window that is to be judged: what a model is asked about, and what should come of it. */
export interface JudgedWindow {
  /** For a forecast the window that ended a horizon ago. */
  readonly features: Float32Array;
  readonly targets: Float32Array;
  /** With a forecast: the newest window, whose future nobody knows. */
  readonly newest?: Float32Array;
  readonly fromMs: number;
  readonly toMs: number;
}

/**
 * Samples for training and for judging: windows of the history, of which with more than `samplesMax` each begins further from the last.
 * Where windows have no class that is known they are left out.
 *
 * @param recorded all of it, as the recorder gives it
 * @throws DataError `data.setting` when there is no normalisation where one has to be
 */
export function streamSamples(
  recorded: Series,
  binding: StreamBinding,
  making: SampleMaking,
): StreamSamples {
  const { samplesMax, holdOutShare } = binding;
  const series = regularSeries(recorded, binding);
  const windows = cut(series, binding, making, stepFor(series.atMs.length, binding, samplesMax));
  const ends = endsOf(windows, series, spanOf(binding));
  const classes = classesOf(binding, series, ends, making);
  const failures = failuresOf(series, making);
  const all = Array.from({ length: windows.count }, (_, at) => at).filter((at) => {
    if (classes !== undefined) return classes[at] !== UNKNOWN;
    const end = ends[at] as number;
    return failures[end + 1] === failures[end + 1 - spanOf(binding)];
  });
  // Each run without a gap begins with a window of its own: of a torn history there are more than the step lets expect.
  const every = Math.ceil(all.length / samplesMax);
  const known = all.filter((_, at) => (all.length - 1 - at) % every === 0);
  const heldOut = Math.max(1, Math.round(known.length * holdOutShare));
  const [first] = known.slice(-heldOut);
  const startMs = first === undefined ? 0 : (windows.atMs[first] as number);
  const momentOf = (at: number): number => series.atMs[ends[at] as number] as number;
  const train = known.slice(0, -heldOut).filter((at) => momentOf(at) < startMs);
  const holdOut = known.slice(-heldOut);
  const samples = (places: readonly number[]): Samples =>
    samplesAt(windows, binding, places, classes);
  return {
    train: samples(train),
    holdOut: samples(holdOut),
    holdOutAtMs: Float64Array.from(holdOut, momentOf),
  };
}

/**
 * The window that ends with the newest point, if one does.
 *
 * @param recorded the last points of it are enough, see {@link pointsForWindow}
 * @throws DataError as {@link streamSamples}
 */
export function newestWindow(
  recorded: Series,
  binding: StreamBinding,
  making: Pick<SampleMaking, "normalization">,
): JudgedWindow | undefined {
  const span = spanOf(binding);
  const series = regularSeries(recorded, binding);
  const { windowLength, goal, channels } = binding;
  const windows = cut(series, binding, making, 1);
  const last = windows.count - 1;
  if (last < 0 || endsOf(windows, series, span)[last] !== series.atMs.length - 1) return undefined;
  const size = span * channels.length;
  const all = windows.features.slice(last * size, (last + 1) * size);
  const inputs = windowLength * channels.length;
  const moments = {
    fromMs: windows.atMs[last] as number,
    toMs: series.atMs.at(-1) as number,
  };
  const features = all.slice(0, inputs);
  if (goal.kind !== "forecast") return { features, targets: features, ...moments };
  return { features, targets: all.slice(inputs), newest: all.slice(size - inputs), ...moments };
}

/** @returns how many of the last points {@link newestWindow} has to see */
export function pointsForWindow(binding: StreamBinding): number {
  // What is filled goes back to a value before the window.
  return spanOf(binding) + binding.fillMax + 1;
}

const UNKNOWN = -1;

function cut(
  series: Series,
  binding: StreamBinding,
  { normalization }: Pick<SampleMaking, "normalization">,
  step: number,
): Windows {
  const { normalize, fillMax, channels, everyMs } = binding;
  let features = firstChannels(series, channels.length);
  if (normalize === "federated") {
    if (normalization === undefined)
      throw new DataError(
        "data.setting",
        "normalize: federated needs what the agents agreed on, and they have not yet",
      );
    features = normalized(features, normalization);
  }
  return windowsOf(features, {
    length: spanOf(binding),
    step,
    // What is still apart is too far apart to be filled.
    gapMsMax: 1.5 * everyMs,
    fillMax,
    normalize: normalize === "window" ? "window" : "none",
  });
}

/** @returns the step with which no more windows than that come of so many points without a gap */
function stepFor(points: number, binding: StreamBinding, samplesMax: number): number {
  const { windowStep } = binding;
  const many = Math.floor(Math.max(0, points - spanOf(binding)) / windowStep) + 1;
  return windowStep * Math.ceil(many / samplesMax);
}

function firstChannels({ atMs, values, channels }: Series, count: number): Series {
  if (channels === count) return { atMs, values, channels };
  const kept = new Float32Array(atMs.length * count);
  for (let at = 0; at < atMs.length; at++)
    kept.set(values.subarray(at * channels, at * channels + count), at * count);
  return { atMs, values: kept, channels: count };
}

/** @returns for each window the place of its last point in the series */
function endsOf(windows: Windows, { atMs }: Series, span: number): Int32Array {
  let place = 0;
  return Int32Array.from(windows.atMs, (startMs) => {
    while ((atMs[place] as number) < startMs) place++;
    return place + span - 1;
  });
}

/** @returns how many moments before each one, and before the end, are of a class above 0 */
function failuresOf({ atMs }: Series, { labelAt }: SampleMaking): Int32Array {
  const failures = new Int32Array(atMs.length + 1);
  if (labelAt === undefined) return failures;
  for (const [at, moment] of atMs.entries())
    failures[at + 1] = (failures[at] as number) + ((labelAt(moment) ?? 0) > 0 ? 1 : 0);
  return failures;
}

function classesOf(
  { goal, channels }: StreamBinding,
  { atMs, values, channels: columns }: Series,
  ends: Int32Array,
  { labelAt }: SampleMaking,
): Int32Array | undefined {
  if (goal.kind !== "classify") return undefined;
  const { labels, classes } = goal;
  const names = channels.map(({ name }) => name);
  const told = labels.kind === "topic" ? lastKnown(values, columns, columns - 1) : values;
  return ends.map((end) => {
    if (labels.kind === "hand") return within(labelAt?.(atMs[end] as number), classes);
    if (labels.kind === "topic") return within(told[end], classes);
    const rule = labels.rules.find(({ channel, above, below }) => {
      const value = values[end * columns + names.indexOf(channel)] ?? Number.NaN;
      // A value that is missing fits no rule.
      return (
        value > (above ?? Number.NEGATIVE_INFINITY) && value < (below ?? Number.POSITIVE_INFINITY)
      );
    });
    return rule?.class ?? 0;
  });
}

/** A label holds until the next one comes. */
function lastKnown(values: Float32Array, columns: number, column: number): Float32Array {
  let known = Number.NaN;
  return Float32Array.from({ length: values.length / columns }, (_, at) => {
    const value = values[at * columns + column] as number;
    if (!Number.isNaN(value)) known = value;
    return known;
  });
}

function within(label: number | undefined, classes: number): number {
  return label !== undefined && Number.isInteger(label) && label >= 0 && label < classes
    ? label
    : UNKNOWN;
}

function samplesAt(
  windows: Windows,
  binding: StreamBinding,
  places: readonly number[],
  classes: Int32Array | undefined,
): Samples {
  const { windowLength, channels, goal } = binding;
  const size = spanOf(binding) * channels.length;
  const inputs = windowLength * channels.length;
  const features = new Float32Array(places.length * inputs);
  for (const [at, place] of places.entries())
    features.set(windows.features.subarray(place * size, place * size + inputs), at * inputs);
  const count = places.length;
  if (classes !== undefined)
    return {
      count,
      features,
      targets: Int32Array.from(places, (place) => classes[place] as number),
    };
  if (goal.kind === "reconstruct") return { count, features, targets: features };
  const outputs = size - inputs;
  const targets = new Float32Array(count * outputs);
  for (const [at, place] of places.entries())
    targets.set(windows.features.subarray(place * size + inputs, (place + 1) * size), at * outputs);
  return { count, features, targets };
}
