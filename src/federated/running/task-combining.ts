import { layOut } from "../../platform/training-layout.ts";
import type { CombineJob } from "../combining/combine.ts";
import { variateIn } from "../combining/variates.ts";
import type { KnownTask } from "../tasks/known-task.ts";
import { isCorrected } from "../tasks/task-spec.ts";
import type { LearningGround } from "./learning-ground.ts";
import type { RoundParts } from "./round-parts.ts";
import { combineScaled, strategyStateIn } from "./scale-round.ts";
import { scaledChannels } from "./task-streams.ts";

/** @returns puts the updates of a task's rounds together: with the scale that agents agree on, and without what stays at each of them */
export function combiningOf(
  known: KnownTask,
  ground: Pick<LearningGround, "combine">,
): RoundParts["combine"] {
  const channels = scaledChannels(known);
  const kept = keptOf(known);
  return (job, seed) =>
    channels === undefined
      ? ground.combine({ ...job, ...kept }, seed)
      : combineScaled(job, channels, (inner) => ground.combine({ ...inner, ...kept }, seed));
}

/** @returns how what gradients are corrected by is read, where they are */
export function correctedBy(
  known: KnownTask,
  parameterCount: number,
): Pick<RoundParts, "variateIn"> {
  if (!isCorrected(known.manifest.spec)) return {};
  const channels = scaledChannels(known);
  return {
    variateIn: (joint) => {
      const state = channels === undefined ? joint : strategyStateIn(joint, channels);
      return state && variateIn(state, parameterCount);
    },
  };
}

/** @returns what of the model stays at each agent, where anything does */
function keptOf({ manifest }: KnownTask): Pick<CombineJob, "kept"> {
  const { personalization, model } = manifest.spec;
  return personalization?.kind === "fed-bn" ? { kept: layOut(model).parameters } : {};
}
