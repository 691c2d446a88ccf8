import type { Samples } from "../../platform/training-backend.ts";
import { DataError } from "./data-error.ts";
import type { Column } from "./data-frame.ts";
import { rowsAt } from "./rows.ts";

/** Samples of which each has a class, and a group (who spoke, which device) where that is known. */
export interface LabelledSamples extends Samples {
  readonly targets: Int32Array;
  /** Of each sample, from 0. */
  readonly groups?: Int32Array;
}

/** Samples to learn from and to be judged by. */
export interface Dataset {
  readonly name: string;
  /** Of one sample, as a model's `inputShape`. */
  readonly shape: readonly number[];
  readonly classes: number;
  readonly train: LabelledSamples;
  readonly test: LabelledSamples;
}

/** @returns the samples at these places, in their order, in memory of their own */
export function pick(samples: LabelledSamples, places: ArrayLike<number>): LabelledSamples {
  const { count, groups } = samples;
  return {
    count: places.length,
    features: rowsAt(samples.features, count, places),
    targets: rowsAt(samples.targets, count, places),
    ...(groups !== undefined && { groups: rowsAt(groups, count, places) }),
  };
}

/**
 * Makes samples of a table: `label` says the class, `group` the group, every other column is a feature.
 * @throws DataError `data.format` where a value is missing; `data.setting` where a column is
 */
export function samplesOf(
  columns: readonly Column[],
  { label, group }: { readonly label: string; readonly group?: string },
): { readonly samples: LabelledSamples; readonly features: number; readonly classes: number } {
  const classColumn = columnNamed(columns, label);
  const groupColumn = group === undefined ? undefined : columnNamed(columns, group);
  const features = columns.filter((column) => column !== classColumn && column !== groupColumn);
  const count = classColumn.values.length;
  const table = new Float32Array(count * features.length);
  for (const [column, { name, values, levels }] of features.entries()) {
    if (levels !== undefined)
      throw new DataError("data.format", `${name} is no column of numbers, nor label nor group`);
    for (let row = 0; row < count; row++) {
      const value = values[row] ?? Number.NaN;
      if (!Number.isFinite(value))
        throw new DataError("data.format", `${name} has no value in row ${row + 1}`);
      table[row * features.length + column] = value;
    }
  }
  const targets = places(classColumn);
  const groups = groupColumn === undefined ? undefined : places(groupColumn);
  const classes =
    classColumn.levels?.length ?? targets.reduce((most, each) => Math.max(most, each), 0) + 1;
  return {
    samples: { count, features: table, targets, ...(groups !== undefined && { groups }) },
    features: features.length,
    classes,
  };
}

function columnNamed(columns: readonly Column[], name: string): Column {
  const column = columns.find((each) => each.name === name);
  if (column !== undefined) return column;
  const names = columns.map((each) => each.name);
  throw new DataError(
    "data.setting",
    `there is no column ${name}, only ${names.slice(0, 12).join(", ")}`,
  );
}

function places({ name, values }: Column): Int32Array {
  const whole = values.findIndex((value) => !Number.isInteger(value) || value < 0 || value > 1e6);
  if (whole !== -1)
    throw new DataError("data.format", `${name} has ${values[whole]} in row ${whole + 1}`);
  return Int32Array.from(values);
}

/**
 * Shifts and scales each feature so that over the samples to learn from its mean is 0 and its variance 1; a feature that
 * never changes becomes 0. What the test says has no part in it.
 */
export function standardized(dataset: Dataset): Dataset {
  const { train, test } = dataset;
  const size = train.features.length / train.count;
  const means = new Float64Array(size);
  const deviations = new Float64Array(size);
  for (let at = 0; at < train.features.length; at++)
    means[at % size] = (means[at % size] as number) + (train.features[at] as number) / train.count;
  for (let at = 0; at < train.features.length; at++) {
    const off = (train.features[at] as number) - (means[at % size] as number);
    deviations[at % size] = (deviations[at % size] as number) + off ** 2 / train.count;
  }
  for (let feature = 0; feature < size; feature++)
    deviations[feature] = Math.sqrt(deviations[feature] as number);
  const scaled = ({ features, ...rest }: LabelledSamples): LabelledSamples => ({
    ...rest,
    features: features.map((value, at) => {
      const deviation = deviations[at % size] as number;
      return deviation < 1e-12 ? 0 : (value - (means[at % size] as number)) / deviation;
    }),
  });
  return { ...dataset, train: scaled(train), test: scaled(test) };
}
