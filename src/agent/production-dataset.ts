import { readCsv } from "../federated/data/csv.ts";
import { DataError } from "../federated/data/data-error.ts";
import type { Column } from "../federated/data/data-frame.ts";
import { type Dataset, type LabelledSamples, pick, samplesOf } from "../federated/data/dataset.ts";
import { decodeDataset, decompressDataset } from "../federated/data/dataset-file.ts";
import { readDataFile } from "../platform/node/data-file.ts";

/** Every so-many-th row of a CSV file is kept back. */
const TEST_EVERY = 5;

const LABEL = "label";

/** A file of samples, as `learning.datasets` names it. */
export interface DatasetFile {
  readonly name: string;
  /** In the dataset's own format, or CSV with a column `label`. */
  readonly file: string;
  /** Names of the classes, in the order of their numbers. */
  readonly classes?: readonly string[];
}

/** Reads samples into memory that threads share. Long for large files. @throws DataError naming the setting */
export async function readDataset({ name, file, classes: named }: DatasetFile): Promise<Dataset> {
  const bytes = await readDataFile(file).catch((error: unknown) => {
    const reason = (error as Error).message;
    throw new DataError("data.setting", `learning.datasets: ${name} can not be read: ${reason}`);
  });
  if (!file.endsWith(".csv")) return decodeDataset(decompressDataset(bytes), sharedFloats);
  const columns = readCsv(new TextDecoder().decode(bytes)).map((column) =>
    column.name === LABEL ? numbered(name, column, named) : column,
  );
  const { samples, features, classes } = samplesOf(columns, { label: LABEL });
  const places = Array.from({ length: samples.count }, (_, at) => at);
  return {
    name,
    shape: [features],
    classes: named?.length ?? classes,
    train: shared(
      pick(
        samples,
        places.filter((at) => at % TEST_EVERY !== TEST_EVERY - 1),
      ),
    ),
    test: shared(
      pick(
        samples,
        places.filter((at) => at % TEST_EVERY === TEST_EVERY - 1),
      ),
    ),
  };
}

/** A class has to have the same number at every agent, and a file that lacks one can not tell. */
function numbered(name: string, column: Column, classes?: readonly string[]): Column {
  const { values, levels } = column;
  const wrong = (row: number, what: string): DataError =>
    new DataError("data.setting", `learning.datasets: ${name} has ${what} in row ${row + 1}`);
  if (levels === undefined) {
    const beyond = classes && values.findIndex((value) => value >= classes.length);
    if (beyond !== undefined && beyond !== -1)
      throw wrong(beyond, `class ${values[beyond]}, beyond the ${classes?.length} in its classes,`);
    return column;
  }
  if (classes === undefined)
    throw new DataError(
      "data.setting",
      `learning.datasets: labels of ${name} are names (${levels.slice(0, 4).join(", ")}), and each has to be the same number at every agent: list them all in its classes, in one order everywhere, or write numbers from 0`,
    );
  const numbers = levels.map((level) => classes.indexOf(level));
  const unknown = values.findIndex((value) => numbers[value] === -1);
  if (unknown !== -1)
    throw wrong(unknown, `the label ${levels[values[unknown] ?? 0]}, not in its classes,`);
  return { name: column.name, values: values.map((value) => numbers[value] ?? 0) };
}

/** Memory that the training thread sees too: samples are there once, and nothing of them is copied when a round is trained. */
function sharedFloats(length: number): Float32Array {
  return new Float32Array(new SharedArrayBuffer(4 * length));
}

function shared(samples: LabelledSamples): LabelledSamples {
  const features = sharedFloats(samples.features.length);
  features.set(samples.features);
  return { ...samples, features };
}
