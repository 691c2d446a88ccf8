import type { Random } from "../../platform/random.ts";
import { standardNormal } from "../strategies/elementary.ts";
import type { Dataset, LabelledSamples } from "./dataset.ts";

/** What {@link blobs} makes. */
export interface BlobOptions {
  readonly features: number;
  readonly classes: number;
  readonly train: number;
  readonly test: number;
  /** How wide a class is, where the centres lie about one apart in each feature. */
  readonly spread: number;
}

/** @returns classes that are round clouds, each around a centre of its own: something to try an experiment on at once */
export function blobs(
  { features, classes, train, test, spread }: BlobOptions,
  random: Random,
): Dataset {
  const draw = random.fork("centres");
  const centres = Array.from({ length: classes }, () =>
    Float64Array.from({ length: features }, () => standardNormal(draw)),
  );
  const samples = (count: number, label: string): LabelledSamples => {
    const draw = random.fork(label);
    const values = new Float32Array(count * features);
    const targets = new Int32Array(count);
    for (let at = 0; at < count; at++) {
      const target = Math.floor(draw.next() * classes);
      targets[at] = target;
      for (let feature = 0; feature < features; feature++)
        values[at * features + feature] =
          (centres[target]?.[feature] ?? 0) + spread * standardNormal(draw);
    }
    return { count, features: values, targets };
  };
  return {
    name: "blobs",
    shape: [features],
    classes,
    train: samples(train, "train"),
    test: samples(test, "test"),
  };
}
