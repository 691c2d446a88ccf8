import { DataError } from "./data-error.ts";
import type { Column } from "./data-frame.ts";
import { type Dataset, type LabelledSamples, pick, samplesOf } from "./dataset.ts";
import { brightness } from "./dataset-file.ts";
import { type IdxArray, readIdx } from "./idx.ts";

/** The four files of MNIST and what is made like it. */
export interface DigitFiles {
  readonly trainImages: Uint8Array;
  readonly trainLabels: Uint8Array;
  readonly testImages: Uint8Array;
  readonly testLabels: Uint8Array;
}

/** Statlog's own split: `shuttle.trn`, then `shuttle.tst`. */
const SHUTTLE_TRAIN = 43_500;
/** Speakers 0 to 7 are for training, 8 to 14 for the test (Robinson 1989). */
const VOWEL_TRAIN_SPEAKERS = 8;

/** @returns 28 by 28 pictures of ten classes, brightness from 0 to 1; the standard split of 60,000 and 10,000 */
export function digits(name: string, files: DigitFiles): Dataset {
  const train = pictures(readIdx(files.trainImages), readIdx(files.trainLabels));
  const test = pictures(readIdx(files.testImages), readIdx(files.testLabels));
  return { name, shape: [28, 28, 1], classes: 10, train, test };
}

/** @returns nine sensors of a space shuttle's radiators, seven classes of which one has 80 %; Statlog's split */
export function shuttle(columns: readonly Column[]): Dataset {
  const { samples, features, classes } = samplesOf(columns, { label: "Class" });
  if (samples.count <= SHUTTLE_TRAIN)
    throw new DataError("data.format", `Shuttle has 58,000 rows, not ${samples.count}`);
  const places = Int32Array.from({ length: samples.count }, (_, at) => at);
  return {
    name: "shuttle",
    shape: [features],
    classes,
    train: pick(samples, places.subarray(0, SHUTTLE_TRAIN)),
    test: pick(samples, places.subarray(SHUTTLE_TRAIN)),
  };
}

/** @returns eleven English vowels by fifteen speakers, who are the groups; other speakers in the test */
export function vowel(columns: readonly Column[]): Dataset {
  const { samples, features, classes } = samplesOf(columns, { label: "Class", group: "V1" });
  const { groups = new Int32Array() } = samples;
  const places = Int32Array.from({ length: samples.count }, (_, at) => at);
  const isTrain = (at: number): boolean => (groups[at] ?? 0) < VOWEL_TRAIN_SPEAKERS;
  return {
    name: "vowel",
    shape: [features],
    classes,
    train: pick(samples, places.filter(isTrain)),
    test: pick(
      samples,
      places.filter((at) => !isTrain(at)),
    ),
  };
}

function pictures(images: IdxArray, labels: IdxArray): LabelledSamples {
  const [count = 0, rows, columns] = images.shape;
  if (rows !== 28 || columns !== 28)
    throw new DataError("data.format", `pictures of ${rows} by ${columns}, not 28 by 28`);
  if (labels.shape.length !== 1 || labels.shape[0] !== count)
    throw new DataError("data.format", `${count} pictures, but ${labels.shape[0]} labels`);
  return {
    count,
    features: brightness(images.values),
    targets: Int32Array.from(labels.values),
  };
}
