import type {
  Items,
  Learning,
  LearningAlert,
  LearningRound,
  LearningServing,
  LearningTask,
} from "./model.ts";

/** Tasks that are shown: those that run, then the newest. */
export const LEARNING_TASKS_MAX = 4;
/** More than a picture of a few hundred pixels can show. */
export const LEARNING_ROUNDS_MAX = 200;
/** Alerts that are shown. */
const ALERTS_MAX = 8;
const TASKS_ASKED = 50;

/** A task with what is drawn of it. */
export interface ShownTask {
  readonly task: LearningTask;
  /** Oldest first, bounded. */
  readonly rounds: readonly LearningRound[];
  /** Of a task on sensor streams. */
  readonly serving?: LearningServing | undefined;
}

/** What the fleet learns, as shown. */
export interface LearningFigures {
  readonly tasks: readonly ShownTask[];
  /** Tasks that are known beyond those. */
  readonly others: number;
  /** Newest first, bounded. */
  readonly alerts: readonly LearningAlert[];
}

/** Asks one path; undefined when that part answered with an error. */
type Ask = <T>(part: string, path: string) => Promise<T | undefined>;

/**
 * @param last what was known before: rounds that are shown already are not asked for again
 * @returns `off` where this agent does not learn; undefined where it does not tell
 */
export async function learningFigures(
  ask: Ask,
  last: LearningFigures | undefined,
): Promise<LearningFigures | "off" | undefined> {
  const learning = await ask<Learning>("learning", "/v1/learning");
  if (learning === undefined) return undefined;
  if (!learning.enabled) return "off";
  const [tasks, alerts] = await Promise.all([
    ask<Items<LearningTask>>("learning", `/v1/learning/tasks?limit=${TASKS_ASKED}`),
    ask<Items<LearningAlert>>("anomalies", `/v1/learning/alerts?limit=${ALERTS_MAX}`),
  ]);
  if (tasks === undefined) return undefined;
  // Sorting is stable: the newest stay first among equals.
  const chosen = tasks.items
    .toSorted((one, other) => Number(isOver(one)) - Number(isOver(other)))
    .slice(0, LEARNING_TASKS_MAX);
  const known = new Map(last?.tasks.map((shown) => [shown.task.task, shown]));
  return {
    tasks: await Promise.all(chosen.map((task) => shown(ask, task, known.get(task.task)))),
    others: tasks.items.length - chosen.length,
    alerts: alerts?.items ?? last?.alerts ?? [],
  };
}

function isOver({ state }: LearningTask): boolean {
  return state === "stopped" || state === "finished";
}

async function shown(ask: Ask, task: LearningTask, last?: ShownTask): Promise<ShownTask> {
  const path = `/v1/learning/tasks/${encodeURIComponent(task.task)}`;
  const [rounds, serving] = await Promise.all([
    roundsOf(ask, path, task, last?.rounds ?? []),
    task.spec.data.kind === "streams"
      ? ask<LearningServing>("anomalies", `${path}/serving`)
      : undefined,
  ]);
  return { task, rounds, serving };
}

/** The newest is asked for anew, since a model is judged some time after its round is known. */
async function roundsOf(
  ask: Ask,
  path: string,
  task: LearningTask,
  last: readonly LearningRound[],
): Promise<readonly LearningRound[]> {
  const oldest = Math.max(0, task.round - LEARNING_ROUNDS_MAX);
  const kept = last.slice(0, -1).filter(({ round }) => round > oldest && round < task.round);
  const after = kept.at(-1)?.round ?? oldest;
  const query = `after=${after}&limit=${LEARNING_ROUNDS_MAX}`;
  const answer = await ask<Items<LearningRound>>("learning", `${path}/rounds?${query}`);
  return answer === undefined ? last : [...kept, ...answer.items].slice(-LEARNING_ROUNDS_MAX);
}
