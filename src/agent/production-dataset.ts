import { readCsv } from "../federated/data/csv.ts";
import { DataError } from "../federated/data/data-error.ts";
import { type Dataset, type LabelledSamples, pick, samplesOf } from "../federated/data/dataset.ts";
import { decodeDataset, decompressDataset } from "../federated/data/dataset-file.ts";
import { readDataFile } from "../platform/node/data-file.ts";

/** Every so-many-th row of a CSV file is kept back. */
const TEST_EVERY = 5;

/**
 * Reads samples into memory that threads share. Long for large files.
 * @param file with the dataset's own format, or CSV with a column `label` @throws DataError naming the setting
 */
export async function readDataset(name: string, file: string): Promise<Dataset> {
  const bytes = await readDataFile(file).catch((error: unknown) => {
    const reason = (error as Error).message;
    throw new DataError("data.setting", `learning.datasets: ${name} can not be read: ${reason}`);
  });
  if (!file.endsWith(".csv")) return decodeDataset(decompressDataset(bytes), sharedFloats);
  const columns = readCsv(new TextDecoder().decode(bytes));
  const { samples, features, classes } = samplesOf(columns, { label: "label" });
  const places = Array.from({ length: samples.count }, (_, at) => at);
  return {
    name,
    shape: [features],
    classes,
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

/** Memory that the training thread sees too: samples are there once, and nothing of them is copied when a round is trained. */
function sharedFloats(length: number): Float32Array {
  return new Float32Array(new SharedArrayBuffer(4 * length));
}

function shared(samples: LabelledSamples): LabelledSamples {
  const features = sharedFloats(samples.features.length);
  features.set(samples.features);
  return { ...samples, features };
}
