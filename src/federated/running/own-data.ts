import type { Hasher } from "../../platform/hasher.ts";
import type { Random } from "../../platform/random.ts";
import type { ModelSpec } from "../../platform/training-backend.ts";
import { TrainingError } from "../../platform/training-backend.ts";
import type { PackJob } from "../compression/pack-update.ts";
import { DataError } from "../data/data-error.ts";
import { networkName } from "../distillation/teaching-options.ts";
import type { TaskSpec } from "../tasks/task-spec.ts";
import { fittingDataset } from "./fitting-dataset.ts";
import type { LearningGround } from "./learning-ground.ts";
import { LocalTrainer } from "./local-trainer.ts";
import { type DataOffer, openOffer } from "./program-data.ts";
import type { StreamPart } from "./stream-part.ts";
import type { OwnSamples, TaskTrainer } from "./task-trainer.ts";
import { TeachingTrainer } from "./teaching-trainer.ts";
import { transferSamples } from "./transfer-samples.ts";

/** What an agent can train a task with; or in words why it can not. */
export type OwnData =
  | {
      readonly trainer: TaskTrainer;
      readonly samples: OwnSamples;
      /** Where they come from, with a task on streams: there may be too few of them yet. */
      readonly streams?: StreamPart;
    }
  | { readonly lacking: string };

/** Looks for samples that fit a task. Never rejects for want of them: such an agent follows what others learn. */
export async function openOwnData(
  ground: LearningGround,
  spec: TaskSpec,
  parts: {
    readonly random: Random;
    readonly hasher: Hasher;
    /** Which network this agent trains, of tasks that name several. */
    readonly architecture: string | undefined;
    /** 32 hexadecimal digits. */
    readonly task: string;
    /** Samples of a program of this process; they come before a file of the same name. */
    readonly offer?: DataOffer;
    readonly onProgress: (progress: { readonly step: number; readonly steps: number }) => void;
    /** Opens what a task on streams records. @throws StoreError */
    readonly openStreams: () => Promise<StreamPart>;
  },
): Promise<OwnData> {
  const { openStreams, random, onProgress } = parts;
  const trainerParts = { spec, random, onProgress, pack: (job: PackJob) => ground.pack(job) };
  try {
    if (spec.data.kind === "streams") {
      const trainer = await LocalTrainer.open(ground.training, trainerParts);
      try {
        const streams = await openStreams();
        return { trainer, samples: streams.source, streams };
      } catch (error) {
        await trainer.dispose();
        throw error;
      }
    }
    const { name } = spec.data;
    const { offer, task } = parts;
    if (offer !== undefined) {
      const samples = await openOffer(offer, spec, task);
      if (samples.train.count === 0) return { lacking: `${name} has no samples to train on` };
      return await trained(samples);
    }
    const dataset = await fittingDataset(ground, name, spec);
    if (typeof dataset === "string") return { lacking: dataset };
    const { train, test, classes } = dataset;
    if (train.count === 0) return { lacking: `${name} has no samples to train on` };
    const fault = classFault(spec.model, classes);
    if (fault !== undefined) return { lacking: `${name}: ${fault}` };
    return await trained({ train, test });
  } catch (error) {
    if (error instanceof DataError || error instanceof TrainingError)
      return { lacking: error.message };
    throw error;
  }

  async function trained(samples: OwnSamples): Promise<OwnData> {
    const { teaching } = spec;
    if (teaching === undefined)
      return { trainer: await LocalTrainer.open(ground.training, trainerParts), samples };
    const transfer = await transferSamples(ground, parts.hasher, spec, teaching);
    if (typeof transfer === "string") return { lacking: transfer };
    const network = networkName(teaching, parts.architecture);
    const own = { ...trainerParts, teaching, network, transfer };
    return { trainer: await TeachingTrainer.open(ground.training, own), samples };
  }
}

function classFault({ layers, loss }: ModelSpec, classes: number): string | undefined {
  if (loss !== "softmax-cross-entropy")
    return `its samples have classes, so the model's loss has to be softmax-cross-entropy, not ${loss}`;
  const last = layers.at(-1);
  if (last?.kind === "dense" && last.units < classes)
    return `it has ${classes} classes, the model ${last.units} outputs`;
  return undefined;
}
