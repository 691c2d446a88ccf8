import { DataError } from "../federated/data/data-error.ts";
import { rowsAt } from "../federated/data/rows.ts";
import type { OwnSamples } from "../federated/running/task-trainer.ts";
import type { TaskSpec } from "../federated/tasks/task-spec.ts";
import type { Samples } from "../platform/training-backend.ts";
import { layOut } from "../platform/training-layout.ts";

/** Of samples without a `test` of their own, every so-many-th is kept back. */
const TEST_EVERY = 5;

/** Numbers, as programs have them. */
export type Numbers = Float32Array | Float64Array | Int32Array | Uint8Array | readonly number[];

/** Samples with what is to be learned of each. */
export interface LabelledRows {
  /** One row a sample, or all of them in one, one after the other. */
  readonly features: Numbers | readonly Numbers[];
  /** The class of each from 0 with `softmax-cross-entropy`; otherwise what the model is to say, sample after sample. */
  readonly labels: Numbers;
}

/** What a program has to learn from. It never leaves the agent. */
export interface ProgramDataset extends LabelledRows {
  /** What models are judged by; unless given, every fifth sample is kept back for it. */
  readonly test?: LabelledRows;
}

/**
 * Brings a program's samples into the form that models take.
 * @throws DataError `data.format` naming the row that is too long or too short
 */
export function ownSamples(given: ProgramDataset, spec: TaskSpec): OwnSamples {
  const { inputSize } = layOut(spec.model);
  const hasClasses = spec.model.loss === "softmax-cross-entropy";
  const all = samplesOf(given, inputSize, hasClasses);
  if (given.test !== undefined)
    return { train: all, test: samplesOf(given.test, inputSize, hasClasses) };
  const places = Array.from({ length: all.count }, (_, at) => at);
  return {
    train: pick(
      all,
      places.filter((at) => !isTest(at)),
    ),
    test: pick(all, places.filter(isTest)),
  };
}

function isTest(at: number): boolean {
  return at % TEST_EVERY === TEST_EVERY - 1;
}

function samplesOf(
  { features, labels }: LabelledRows,
  inputSize: number,
  hasClasses: boolean,
): Samples {
  const values = flat(features, inputSize);
  if (values.length % inputSize !== 0)
    throw new DataError(
      "data.format",
      `features: ${values.length} values are no whole number of samples of ${inputSize}`,
    );
  // A class that is no whole number has to stay one for it to be found.
  const isWhole = hasClasses && Array.prototype.every.call(labels, Number.isInteger);
  return {
    count: values.length / inputSize,
    features: values,
    targets: isWhole ? Int32Array.from(labels) : Float32Array.from(labels),
  };
}

function flat(features: LabelledRows["features"], inputSize: number): Float32Array {
  const [first] = features;
  if (first === undefined) return new Float32Array(0);
  if (typeof first === "number") return Float32Array.from(features as Numbers);
  const rows = features as readonly Numbers[];
  const values = new Float32Array(rows.length * inputSize);
  for (const [at, row] of rows.entries()) {
    if (row.length !== inputSize)
      throw new DataError(
        "data.format",
        `features: row ${at} has ${row.length} values, the model takes ${inputSize}`,
      );
    values.set(row, at * inputSize);
  }
  return values;
}

function pick({ count, features, targets }: Samples, places: readonly number[]): Samples {
  return {
    count: places.length,
    features: rowsAt(features, count, places),
    targets: rowsAt(targets, count, places),
  };
}
