import type { Dataset } from "../data/dataset.ts";
import type { TaskSpec } from "../tasks/task-spec.ts";
import type { LearningGround } from "./learning-ground.ts";

/**
 * Looks for samples that a task's model takes.
 * @returns in words why there are none. @throws DataError for a file that can not be read
 */
export async function fittingDataset(
  ground: Pick<LearningGround, "dataset">,
  name: string,
  { model: { inputShape } }: Pick<TaskSpec, "model">,
): Promise<Dataset | string> {
  const dataset = await ground.dataset(name);
  if (dataset === undefined) return `learning.datasets has no ${name} here`;
  const { shape } = dataset;
  return shape.join() === inputShape.join()
    ? dataset
    : `samples of ${name} are [${shape.join(", ")}] here, the model takes [${inputShape.join(", ")}]`;
}
