import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { knownDatasets } from "../../src/cli/learn/dataset-catalogue.ts";
import { datasetDirectory, loadDataset } from "../../src/cli/learn/dataset-directory.ts";
import { type LabelledSamples, pick } from "../../src/federated/data/dataset.ts";
import { compressDataset, encodeDataset } from "../../src/federated/data/dataset-file.ts";
import { iidPartition } from "../../src/federated/data/partition.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";

/**
 * Cuts MNIST into files, as `learn data split` does.
 * @param liar the part of which every label is wrong
 * @returns the files, in order
 * @throws DataError that names the command which brings MNIST
 */
export async function mnistParts(
  directory: string,
  { parts, test, liar }: { readonly parts: number; readonly test: number; readonly liar?: number },
): Promise<string[]> {
  const known = knownDatasets.find(({ name }) => name === "mnist");
  if (known === undefined) throw new Error("MNIST is not among the known datasets");
  const dataset = await loadDataset(datasetDirectory(), known);
  const partition = iidPartition(dataset.train.count, parts, new SeededRandom("learning bench"));
  const tested = pick(
    dataset.test,
    Array.from({ length: test }, (_, at) => at),
  );
  mkdirSync(directory, { recursive: true });
  return partition.map((places, part) => {
    const honest = pick(dataset.train, places);
    const train = part === liar ? lied(honest, dataset.classes) : honest;
    const file = join(directory, `digits-${part}.dataset`);
    const content = { ...dataset, name: "digits", train, test: tested };
    writeFileSync(file, compressDataset(encodeDataset(content, "byte")));
    return file;
  });
}

/** Each class is called the next one: its updates are honest in form, and of their usual length. */
function lied({ targets, ...rest }: LabelledSamples, classes: number): LabelledSamples {
  return { ...rest, targets: targets.map((target) => (target + 1) % classes) };
}
