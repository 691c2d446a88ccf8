import { layOut } from "../../platform/training-layout.ts";
import { answersCount } from "../distillation/teaching-options.ts";
import type { TaskSpec } from "./task-spec.ts";

/** @returns how many values the agents of a task agree on: those of its model; with `teaching`, answers */
export function sharedValues({ model, teaching }: TaskSpec): number {
  return teaching === undefined ? layOut(model).parameterCount : answersCount(model, teaching);
}
