import { formatCount, formatDuration, formatScore } from "./format.ts";
import type { LearningRound, LearningServing, LearningTask, RoleHolder } from "./model.ts";
import { shortPeer } from "./peer-words.ts";
import type { Tone } from "./verdict.ts";

/** How a task stands, in a word. */
export const TASK_STATES: Readonly<
  Record<LearningTask["state"], { readonly word: string; readonly tone: Tone }>
> = {
  running: { word: "Running", tone: "good" },
  paused: { word: "Paused", tone: "warn" },
  stopped: { word: "Ended", tone: "idle" },
  finished: { word: "Finished", tone: "good" },
};

const ACTIVITIES: Readonly<Record<LearningTask["activity"], string>> = {
  fetching: "fetches a model",
  training: "trains",
  held: "is held",
  telling: "tells the others of its update",
  resting: "has done its part for now",
  "no-data": "has no samples for it yet",
  failed: "can not train it",
  following: "follows, and learns nothing itself",
};

/** @returns what this agent does for a task: `trains for round 4, step 30 of 120` */
export function activityWords({ activity, progress, because }: LearningTask): string {
  const words =
    activity === "training" && progress !== undefined
      ? `trains for round ${formatCount(progress.round)}, step ${formatCount(progress.step)} of ${formatCount(progress.steps)}`
      : ACTIVITIES[activity];
  return because === undefined ? words : `${words}: ${because}`;
}

/** @returns the agent's name, or the end of its peer id */
export function holderWords({ agentId, peerId, self }: RoleHolder): string {
  return self ? "this agent" : (agentId ?? `node ${shortPeer(peerId)}`);
}

/** @returns who made the newest round, of how many updates, and how long it took */
export function roundWords(round: LearningRound): string {
  const updates = `${formatCount(round.updates)} ${round.updates === 1 ? "update" : "updates"}`;
  const took = round.tookMs === undefined ? "" : ` in ${formatDuration(round.tookMs)}`;
  return `${updates}, put together by ${holderWords(round.aggregator)}${took}`;
}

/** @returns how the newest window of this agent's sensors looks to the model */
export function servingWords(serving: LearningServing): string {
  const { newest, threshold, because, round } = serving;
  if (newest === undefined || threshold === undefined)
    return because ?? "No window of this agent's sensors is judged yet.";
  const side = newest.isAnomalous ? "above" : "within";
  const by = round === undefined ? "" : `, by the model of round ${formatCount(round)}`;
  return `${formatScore(newest.score)}, ${side} the ${formatScore(threshold)} that is normal${by}`;
}
