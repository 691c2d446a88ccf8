import type { Random } from "../../platform/random.ts";
import type { ModelSpec } from "../../platform/training-backend.ts";
import { TrainingError } from "../../platform/training-backend.ts";
import { DataError } from "../data/data-error.ts";
import type { TaskSpec } from "../tasks/task-spec.ts";
import type { LearningGround } from "./learning-ground.ts";
import { LocalTrainer, type OwnSamples } from "./local-trainer.ts";

/** What an agent can train a task with; or in words why it can not. */
export type OwnData =
  | { readonly trainer: LocalTrainer; readonly samples: OwnSamples }
  | { readonly lacking: string };

/** Looks for samples that fit a task. Never rejects for want of them: such an agent follows what others learn. */
export async function openOwnData(
  ground: LearningGround,
  spec: TaskSpec,
  parts: {
    readonly random: Random;
    readonly onProgress: (progress: { readonly step: number; readonly steps: number }) => void;
  },
): Promise<OwnData> {
  const { name } = spec.data;
  try {
    const dataset = await ground.dataset(name);
    if (dataset === undefined) return { lacking: `learning.datasets has no ${name} here` };
    const { shape, train, test, classes } = dataset;
    if (shape.join() !== spec.model.inputShape.join())
      return {
        lacking: `samples of ${name} are [${shape.join(", ")}] here, the model takes [${spec.model.inputShape.join(", ")}]`,
      };
    if (train.count === 0) return { lacking: `${name} has no samples to train on` };
    const fault = classFault(spec.model, classes);
    if (fault !== undefined) return { lacking: `${name}: ${fault}` };
    const trainer = await LocalTrainer.open(ground.training, { spec, ...parts });
    return { trainer, samples: { train, test } };
  } catch (error) {
    if (error instanceof DataError || error instanceof TrainingError)
      return { lacking: error.message };
    throw error;
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
