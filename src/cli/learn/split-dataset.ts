import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { closest } from "fastest-levenshtein";
import { ConfigError } from "../../config/resolve.ts";
import { DataError } from "../../federated/data/data-error.ts";
import { type Dataset, type LabelledSamples, pick } from "../../federated/data/dataset.ts";
import {
  compressDataset,
  decodeDataset,
  decompressDataset,
  encodeDataset,
  type FeatureForm,
} from "../../federated/data/dataset-file.ts";
import { shuffle } from "../../federated/data/draw.ts";
import {
  dirichletPartition,
  groupPartition,
  iidPartition,
  type Partition,
  shardPartition,
} from "../../federated/data/partition.ts";
import type { Random } from "../../platform/random.ts";
import { SeededRandom } from "../../platform/seeded-random.ts";
import { print, printJson, printTable } from "../output.ts";
import { knownDatasets } from "./dataset-catalogue.ts";
import { datasetDirectory, loadDataset } from "./dataset-directory.ts";

/** What `learn data split` was asked for; what is absent is told by {@link splitDataset}. */
export interface SplitOptions {
  readonly parts?: number;
  readonly by: "iid" | "shards" | "dirichlet" | "groups";
  /** Of each part, with `shards`. */
  readonly shards: number;
  /** The smaller, the more parts differ, with `dirichlet`. */
  readonly alpha: number;
  /** That each part has at least, with `dirichlet`. */
  readonly samplesMin: number;
  /** Samples that each part is judged by; all of them when absent. */
  readonly test?: number;
  readonly seed: number;
  readonly out: string;
  /** Where datasets are kept. */
  readonly into?: string;
  readonly json?: true;
}

/**
 * Cuts a dataset into files, one for each agent: `OUT/NAME-0.dataset` and so on. The same seed gives the same files.
 * @param source name of a known dataset, or a file that `learn data fetch` or `learn data split` wrote
 * @throws ConfigError, DataError naming what to change
 */
export async function splitDataset(source: string, options: SplitOptions): Promise<void> {
  const dataset = await load(source, options.into);
  const random = new SeededRandom(`split ${options.seed}`);
  const partition = partitionOf(dataset.train, options, random.fork("parts"));
  const test = tested(dataset.test, options.test, random.fork("test"));
  const form = formOf(dataset);
  await mkdir(options.out, { recursive: true });
  const items = [];
  for (const [part, places] of partition.entries()) {
    if (places.length === 0)
      throw new DataError("data.setting", `part ${part} would have no samples: take fewer parts`);
    const train = pick(dataset.train, places);
    const file = join(options.out, `${dataset.name}-${part}.dataset`);
    await write(file, compressDataset(encodeDataset({ ...dataset, train, test }, form)));
    items.push({ file, train: train.count, test: test.count, classes: classesIn(train) });
  }
  const { name, shape, classes } = dataset;
  if (options.json === true) return printJson({ name, shape, classes, seed: options.seed, items });
  printTable(
    ["File", "Training", "Test", "Classes"],
    items.map((item) => [
      item.file,
      String(item.train),
      String(item.test),
      `${item.classes} of ${classes}`,
    ]),
    "none",
  );
  print(
    `\nGive an agent one of them: --set 'learning.datasets=[{"name":"${name}","file":"${items[0]?.file}"}]'; a task's model takes inputShape [${shape.join(", ")}].`,
  );
}

async function load(source: string, into: string | undefined): Promise<Dataset> {
  const known = knownDatasets.find(({ name }) => name === source);
  if (known !== undefined) return loadDataset(datasetDirectory(into), known);
  if (!source.endsWith(".dataset")) {
    const names = knownDatasets.map(({ name }) => name);
    throw new ConfigError("learn data split", [
      `${source} is no file that ends in .dataset, and no known dataset; did you mean ${closest(source, names)}? There are ${names.join(", ")}`,
    ]);
  }
  const bytes = await readFile(source).catch((error: unknown) => {
    throw new DataError("data.setting", `${source} can not be read: ${(error as Error).message}`);
  });
  return decodeDataset(decompressDataset(bytes));
}

function partitionOf(train: LabelledSamples, options: SplitOptions, random: Random): Partition {
  const { by, parts, shards } = options;
  if (by === "groups") {
    const groups = groupPartition(train);
    if (parts === undefined || parts === groups.length) return groups;
    throw new DataError(
      "data.setting",
      `--parts: there are ${groups.length} groups, not ${parts}; leave it out`,
    );
  }
  if (parts === undefined)
    throw new DataError("data.setting", `--parts is missing: how many files --by ${by} makes`);
  switch (by) {
    case "iid":
      return iidPartition(train.count, parts, random);
    case "shards":
      return shardPartition(train, parts, shards, random);
    case "dirichlet":
    default:
      return dirichletPartition(train, parts, options, random);
  }
}

/** The same for every part, so that what they say of a model can be compared. */
function tested(test: LabelledSamples, wanted: number | undefined, random: Random) {
  if (wanted === undefined || wanted === test.count) return test;
  if (wanted > test.count)
    throw new DataError("data.setting", `--test: there are ${test.count} samples, not ${wanted}`);
  const order = shuffle(
    Int32Array.from({ length: test.count }, (_, at) => at),
    random,
  );
  return pick(test, order.slice(0, wanted).sort());
}

/** A byte for each value where nothing is lost by it. */
function formOf({ train, test }: Dataset): FeatureForm {
  return train.features.every(isByte) && test.features.every(isByte) ? "byte" : "float32";
}

function isByte(value: number): boolean {
  const byte = Math.round(value * 255);
  return byte >= 0 && byte <= 255 && Math.fround(byte / 255) === value;
}

function classesIn({ targets }: LabelledSamples): number {
  return new Set(targets).size;
}

/** Whole or not at all. */
async function write(file: string, bytes: Uint8Array): Promise<void> {
  const half = `${file}.${process.pid}.half`;
  await writeFile(half, bytes);
  await rename(half, file);
}
