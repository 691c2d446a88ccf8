import type { Hasher } from "../../platform/hasher.ts";
import { SeededRandom } from "../../platform/seeded-random.ts";
import { layOut } from "../../platform/training-layout.ts";
import { bytesOfWeights } from "../combining/weights-codec.ts";
import { DataError } from "../data/data-error.ts";
import type { TransferSet } from "../distillation/taught-model.ts";
import type { TaskTeaching } from "../distillation/teaching-options.ts";
import { generateTransferSet } from "../distillation/transfer-set.ts";
import { LearningError } from "../tasks/learning-error.ts";
import type { TaskSpec } from "../tasks/task-spec.ts";
import { fittingDataset } from "./fitting-dataset.ts";
import type { LearningGround } from "./learning-ground.ts";

/**
 * Has what the agents of a task answer on.
 * @returns in words why it is not to be had here. @throws DataError for a file that can not be read
 */
export async function transferSamples(
  ground: Pick<LearningGround, "dataset">,
  hasher: Hasher,
  spec: TaskSpec,
  { transfer }: TaskTeaching,
): Promise<TransferSet | string> {
  const { inputSize } = layOut(spec.model);
  const { count } = transfer;
  if (transfer.kind === "generated") {
    const means = new Float64Array(inputSize).fill(transfer.mean);
    const deviations = new Float64Array(inputSize).fill(transfer.deviation ** 2);
    const random = new SeededRandom(`learning/${spec.seed}/transfer`);
    return { features: generateTransferSet({ count: 1, means, deviations }, count, random), count };
  }
  const { name, sha256 } = transfer;
  const dataset = await fittingDataset(ground, name, spec);
  if (typeof dataset === "string") return `${dataset}, and all answer on it (teaching.transfer)`;
  const { train } = dataset;
  if (train.count < count)
    return `${name} has ${train.count} samples here, teaching.transfer.count is ${count}`;
  const set = { features: train.features.slice(0, count * inputSize), count };
  if (sha256 === undefined) return set;
  const own = hashOf(set, hasher);
  return own === sha256
    ? set
    : `${name} is not what the others answer on: the SHA-256 of its first ${count} samples is ${own} here, ${sha256} in the task`;
}

function hashOf({ features }: TransferSet, hasher: Hasher): string {
  return hasher.sha256Hex(bytesOfWeights(features));
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
  let samples: TransferSet | string;
  try {
    samples = await transferSamples(await openGround(), hasher, spec, teaching);
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    samples = error.message;
  }
  if (typeof samples === "string") throw new LearningError("learning.spec", samples);
  const transfer = { ...teaching.transfer, sha256: hashOf(samples, hasher) };
  return { ...spec, teaching: { ...teaching, transfer } };
}
