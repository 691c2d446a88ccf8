import { LearningError } from "../federated/tasks/learning-error.ts";
import type { LearningRound, LearningTask } from "../federated/view.ts";
import type { Attachment } from "./attachment.ts";
import type { Numbers } from "./program-samples.ts";
import type { TaskDefinition } from "./task-definition.ts";

/** What a model said of samples. */
export interface TaskPrediction {
  /** That the model came of. */
  readonly round: number;
  /** This agent's own model, or the fleet's. */
  readonly model: "own" | "global";
  /** Of each sample, in their order; logits with the cross entropies. */
  readonly outputs: readonly (readonly number[])[];
  /** Of each sample the number of its largest output; only with `softmax-cross-entropy`. */
  readonly classes?: readonly number[];
}

/** Which rounds are wanted. */
export interface RoundsOptions {
  /** Only those with larger numbers. Default: 0. */
  readonly after?: number;
  /** Ends the waiting. */
  readonly signal?: AbortSignal;
}

/**
 * Something that a fleet learns, as a program wants it. It does nothing until it is attached to an agent. Programs on several agents attach
 * tasks of one name, each with samples of its own, and the oldest task of that name is the one that is learned.
 *
 * @example
 * const task = new FederatedTask({ name: "clouds", modelFn, datasetFn, aggregation: "median" });
 * await agent.attachTask(task);
 * for await (const { round, evaluation } of task.rounds()) console.log(round, evaluation?.accuracy);
 */
export class FederatedTask {
  readonly definition: TaskDefinition;
  #attachment: Attachment | undefined;

  constructor(definition: TaskDefinition) {
    this.definition = definition;
  }

  /** Lower case letters, digits and dashes. */
  get name(): string {
    return this.definition.name;
  }

  /** How far it is, as the agent sees it; undefined before it is attached, or known. */
  get status(): LearningTask | undefined {
    return this.#attachment?.task;
  }

  /**
   * Rounds as they are decided, oldest first, each with what this agent's samples say of its model where that is known within moments.
   * Ends with the task, and when it is detached. An agent keeps the newest 1,024: who takes longer misses older ones. Should the
   * fleet turn out to learn an older task of that name, its rounds follow, from 1.
   * @throws LearningError `learning.unknown-task` before it is attached
   */
  async *rounds({ after = 0, signal }: RoundsOptions = {}): AsyncGenerator<LearningRound, void> {
    const attachment = this.#attached();
    let id: string | undefined;
    let last = after;
    const isWanted = (): boolean => !attachment.isOver && signal?.aborted !== true;
    while (isWanted()) {
      const { task } = attachment;
      if (task !== undefined && task.task !== id) {
        if (id !== undefined) last = 0;
        id = task.task;
      }
      const [next] = id === undefined ? [] : attachment.rounds(last);
      if (next !== undefined) {
        last = next.round;
        yield await attachment.judged(next);
      } else if (task?.state === "finished" || task?.state === "stopped") return;
      else await attachment.changed(signal);
    }
  }

  /**
   * Runs the newest model here. Nothing of the samples leaves the agent.
   * @param rows each as long as the model's input
   * @param options `model`: this agent's own one or the fleet's; as the task has it unless given
   * @throws LearningError `learning.spec` for rows of another length, `learning.no-model` before there is any
   */
  async predict(
    rows: readonly Numbers[],
    { model }: { readonly model?: "own" | "global" } = {},
  ): Promise<TaskPrediction> {
    const attachment = this.#attached();
    const features = rows.map((row) => Array.from(row));
    const predicted = await attachment.predict(features, model);
    const hasClasses = attachment.task?.spec.model.loss === "softmax-cross-entropy";
    return {
      ...predicted,
      ...(hasClasses && {
        classes: predicted.outputs.map((outputs) => outputs.indexOf(Math.max(...outputs))),
      }),
    };
  }

  /** Lets it rest, for the whole fleet. @throws LearningError `learning.not-the-author` where another agent started it */
  pause(): Promise<LearningTask> {
    return this.#attached().control("paused");
  }

  /** Lets it go on. @throws LearningError as {@link pause} */
  resume(): Promise<LearningTask> {
    return this.#attached().control("running");
  }

  /** Ends it for good. @throws LearningError as {@link pause} */
  stop(): Promise<LearningTask> {
    return this.#attached().control("stopped");
  }

  /**
   * For the agent that it is attached to.
   * @throws LearningError `learning.busy` where it is attached to another one
   */
  attachTo(attachment: Attachment | undefined): void {
    if (attachment !== undefined && this.#attachment !== undefined)
      throw new LearningError(
        "learning.busy",
        `the task ${this.name} is attached to an agent already; make another one for the other agent`,
      );
    this.#attachment = attachment;
  }

  #attached(): Attachment {
    if (this.#attachment !== undefined) return this.#attachment;
    throw new LearningError(
      "learning.unknown-task",
      `the task ${this.name} is not attached; call agent.attachTask(task) first`,
    );
  }
}
