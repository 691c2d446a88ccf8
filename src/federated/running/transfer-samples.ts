import type { Hasher } from "../../platform/hasher.ts";
import { SeededRandom } from "../../platform/seeded-random.ts";
import { bytesOfWeights } from "../combining/weights-codec.ts";
import { DataError } from "../data/data-error.ts";
import type { TransferSet } from "../distillation/taught-model.ts";
import type { TaskTeaching } from "../distillation/teaching-options.ts";
import { generateTransferSet } from "../distillation/transfer-set.ts";
import { LearningError } from "../tasks/learning-error.ts";
import type { TaskSpec } from "../tasks/task-spec.ts";
import type { LearningGround } from "./learning-ground.ts";

/** What agents answer on, and its SHA-256. */
type Samples = { readonly set: TransferSet; readonly sha256: string };

/**
 * Has what the agents of a task answer on.
 * @returns in words why it is not to be had here. @throws DataError for a file that can not be read
 */
export async function transferSamples(
  ground: Pick<LearningGround, "dataset">,
  hasher: Hasher,
  spec: TaskSpec,
  { transfer }: TaskTeaching,
): Promise<Samples | string> {
  const { inputShape } = spec.model;
  const size = inputShape.reduce((product, axis) => product * axis, 1);
  const { count } = transfer;
  if (transfer.kind === "generated") {
    const { mean, deviation } = transfer;
    const means = new Float64Array(size).fill(mean);
    const deviations = new Float64Array(size).fill(deviation ** 2);
    const random = new SeededRandom(`learning/${spec.seed}/transfer`);
    return hashed(generateTransferSet({ count: 1, means, deviations }, count, random));
  }
  const { name, sha256 } = transfer;
  const dataset = await ground.dataset(name);
  if (dataset === undefined)
    return `learning.datasets has no ${name} here, which all answer on (teaching.transfer)`;
  const { shape, train } = dataset;
  if (shape.join() !== inputShape.join())
    return `samples of ${name} are [${shape.join(", ")}] here, the model takes [${inputShape.join(", ")}]`;
  if (train.count < count)
    return `${name} has ${train.count} samples here, teaching.transfer.count is ${count}`;
  const samples = hashed(train.features.slice(0, count * size));
  return sha256 === undefined || sha256 === samples.sha256
    ? samples
    : `${name} is not what the others answer on: the SHA-256 of its first ${count} samples is ${samples.sha256} here, ${sha256} in the task`;

  function hashed(features: Float32Array): Samples {
    return { set: { features, count }, sha256: hasher.sha256Hex(bytesOfWeights(features)) };
  }
}

/**
 * Says in a task what its agents answer on, so that nobody answers on anything else.
 * @returns the task, with the SHA-256 of the samples that this agent has, unless it names one
 * @throws LearningError `learning.spec` where this agent has none
 */
export async function withTransferHash(
  openGround: () => Promise<Pick<LearningGround, "dataset">>,
  hasher: Hasher,
  spec: TaskSpec,
): Promise<TaskSpec> {
  const { teaching } = spec;
  if (teaching?.transfer.kind !== "dataset" || teaching.transfer.sha256 !== undefined) return spec;
  let samples: Samples | string;
  try {
    samples = await transferSamples(await openGround(), hasher, spec, teaching);
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    samples = error.message;
  }
  if (typeof samples === "string") throw new LearningError("learning.spec", samples);
  const transfer = { ...teaching.transfer, sha256: samples.sha256 };
  return { ...spec, teaching: { ...teaching, transfer } };
}
