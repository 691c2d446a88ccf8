import type { PeerId } from "../../platform/signer.ts";

/** Longest name of a task, in UTF-16 code units. */
export const TASK_ID_LENGTH_MAX = 128;
/** Skills that one task can ask for. */
export const SKILLS_MAX = 16;
/** Tasks that one task can wait for. */
export const DEPENDENCIES_MAX = 64;
/** Highest priority; the lowest is 0. */
export const PRIORITY_MAX = 9;

/** What a task wants of an agent. */
export interface Requirements {
  readonly skills: readonly string[];
  readonly memoryBytes: number;
  /** Cores' worth of processor. */
  readonly cpuShare: number;
  /** Only on an agent on mains power. */
  readonly mains: boolean;
}

/** A task as it is handed in. */
export interface TaskSpec {
  readonly id: string;
  readonly needs: Requirements;
  /** 0 … 9; higher ones are assigned first. */
  readonly priority: number;
  /** Tasks that have to be done first: of the same batch, or handed in before. */
  readonly after: readonly string[];
  /** Counted from when it is handed in; when it is over, the task has failed. */
  readonly deadlineMs?: number;
  /** For one attempt. */
  readonly timeoutMs: number;
  readonly attemptsMax: number;
}

/** What an agent offers, and how busy it says it is. */
export interface AgentOffer {
  readonly peer: PeerId;
  readonly skills: readonly string[];
  /** For tasks, all of them together. */
  readonly memoryBytes: number;
  readonly cpuShare: number;
  readonly mains: boolean;
  /** Tasks at once. */
  readonly tasksMax: number;
  /** Its share of tasks among agents as busy as itself, above 0. */
  readonly weight: number;
  /** 0: idle; 1: it can do no more. */
  readonly load: number;
}

/** One try of one agent at one task. */
export interface Attempt {
  readonly id: string;
  readonly peer: PeerId;
  /** Counted from 1, over all agents. */
  readonly number: number;
}

/** @returns what is wrong with a task by itself; undefined when nothing is */
export function faultOf(task: TaskSpec): string | undefined {
  const { id, needs, priority, after, deadlineMs, timeoutMs, attemptsMax } = task;
  if (id.length === 0 || id.length > TASK_ID_LENGTH_MAX)
    return `id has to have 1 to ${TASK_ID_LENGTH_MAX} characters`;
  if (!(Number.isInteger(priority) && priority >= 0 && priority <= PRIORITY_MAX))
    return `priority has to be a whole number from 0 to ${PRIORITY_MAX}`;
  if (needs.skills.length > SKILLS_MAX) return `at most ${SKILLS_MAX} skills`;
  if (!(needs.memoryBytes >= 0 && needs.cpuShare >= 0))
    return "memory and processor have to be numbers from 0";
  if (after.length > DEPENDENCIES_MAX) return `at most ${DEPENDENCIES_MAX} dependencies`;
  if (!(timeoutMs > 0)) return "timeout has to be above 0";
  if (deadlineMs !== undefined && !(deadlineMs > 0)) return "deadline has to be above 0";
  if (!(Number.isInteger(attemptsMax) && attemptsMax >= 1))
    return "attempts have to be a whole number from 1";
  return undefined;
}
