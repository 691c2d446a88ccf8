import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { closest } from "fastest-levenshtein";
import { ConfigError } from "../../config/resolve.ts";
import { blobs } from "../../federated/data/blobs.ts";
import { readCsv } from "../../federated/data/csv.ts";
import { DataError } from "../../federated/data/data-error.ts";
import { type Dataset, pick, samplesOf, standardized } from "../../federated/data/dataset.ts";
import { shuffle } from "../../federated/data/draw.ts";
import type { Experiment } from "../../federated/lab/options.ts";
import type { Random } from "../../platform/random.ts";
import { knownDatasets } from "./dataset-catalogue.ts";
import { loadDataset } from "./dataset-directory.ts";

/** Where an experiment's data is looked for. */
export interface DataPlaces {
  /** The experiment's own file: others are named from its directory on. */
  readonly file: string;
  readonly datasets: string;
}

/**
 * @param random draws the test samples of a CSV file, and blobs
 * @returns an experiment's dataset, normalised as it says
 * @throws ConfigError, DataError
 */
export async function experimentData(
  { dataset, normalize }: Pick<Experiment, "dataset" | "normalize">,
  places: DataPlaces,
  random: Random,
): Promise<Dataset> {
  const loaded = await load(dataset, places, random);
  const arePictures = loaded.shape.length > 1;
  return (normalize ?? (arePictures ? "none" : "standard")) === "none"
    ? loaded
    : standardized(loaded);
}

async function load(
  dataset: Experiment["dataset"],
  { file, datasets }: DataPlaces,
  random: Random,
): Promise<Dataset> {
  switch (dataset.kind) {
    case "blobs":
      return blobs(dataset, random.fork("blobs"));
    case "known": {
      const known = knownDatasets.find(({ name }) => name === dataset.name);
      if (known !== undefined) return loadDataset(datasets, known);
      const names = knownDatasets.map(({ name }) => name);
      throw new ConfigError(file, [
        `dataset.name ${dataset.name} is not known; did you mean ${closest(dataset.name, names)}?`,
      ]);
    }
    case "csv":
    default:
      return fromCsv(resolve(dirname(file), dataset.file), dataset, random.fork("csv"));
  }
}

async function fromCsv(
  path: string,
  { label, group, testShare }: Extract<Experiment["dataset"], { kind: "csv" }>,
  random: Random,
): Promise<Dataset> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new DataError("data.setting", `dataset.file: ${path} can not be read: ${code}`, {
      cause: error,
    });
  }
  const columns = readCsv(text, group === undefined ? [label] : [label, group]);
  const table = samplesOf(columns, { label, ...(group !== undefined && { group }) });
  const { count } = table.samples;
  const order = shuffle(
    Int32Array.from({ length: count }, (_, at) => at),
    random,
  );
  const tests = Math.round(count * testShare);
  if (tests < 1 || tests >= count)
    throw new DataError(
      "data.setting",
      `testShare: ${testShare} of ${count} rows leaves none for one part`,
    );
  return {
    name: path,
    shape: [table.features],
    classes: table.classes,
    train: pick(table.samples, order.subarray(tests).sort()),
    test: pick(table.samples, order.subarray(0, tests).sort()),
  };
}
