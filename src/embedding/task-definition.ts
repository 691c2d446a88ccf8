import type { TaskSpec } from "../federated/tasks/task-spec.ts";
import type { ModelSpec } from "../platform/training-backend.ts";
import type { TaskAggregation } from "./aggregations.ts";
import type { ProgramDataset } from "./program-samples.ts";

/** For whom a program is to give samples. */
export interface DatasetContext {
  readonly agentId: string;
  /** 32 hexadecimal digits. */
  readonly task: string;
  /** As the task has it, with all defaults; the model's shapes are in it. */
  readonly spec: TaskSpec;
}

type AsAsked<T> = T extends readonly unknown[]
  ? T
  : T extends object
    ? { readonly [Key in keyof T]?: AsAsked<T[Key]> }
    : T;

/** What a program wants learned, and what it gives for it. */
export interface TaskDefinition {
  /** Lower case letters, digits and dashes. Programs that mean the same task give it the same name. */
  readonly name: string;
  /** The network. Without it a task is never started, and one of that name is taken as others have it. */
  readonly modelFn?: () => ModelSpec;
  /** Samples of this agent. Without it the agent has them from `learning.datasets`, or follows. */
  readonly datasetFn?: (context: DatasetContext) => ProgramDataset | Promise<ProgramDataset>;
  /** When `datasetFn` is asked: as the task is joined, or again before each round. Default: `once`. */
  readonly refresh?: "once" | "each-round";
  /** How updates become one. Default: the weighted mean. */
  readonly aggregation?: TaskAggregation;
  /** Default: 10. */
  readonly rounds?: number;
  /** How each agent trains in a round; what is left out is as in a task file. */
  readonly client?: AsAsked<Omit<Extract<TaskSpec["client"], { kind: "local" }>, "kind">>;
  readonly pace?: AsAsked<TaskSpec["pace"]>;
  readonly compression?: TaskSpec["compression"];
  readonly personalization?: AsAsked<NonNullable<TaskSpec["personalization"]>>;
  /** Agents tell each other answers instead of weights: `modelFn` is the network of whoever names none of these. */
  readonly teaching?: AsAsked<NonNullable<TaskSpec["teaching"]>>;
  /** What the first weights and every later chance follow from. */
  readonly seed?: number;
  /** Name that other agents know samples for this by in `learning.datasets`. Default: the task's name. */
  readonly dataName?: string;
}
