import type { Body } from "../../api/schemas/common.ts";
import type { learningTask, learningTasks } from "../../api/schemas/learning.ts";
import type { RestClient } from "../rest-client.ts";

/** A learning task as REST tells of it. */
export type TaskDocument = Body<typeof learningTask>;

const ID_PATTERN = /^[0-9a-f]{32}$/;
/** No agent knows more. */
const LIST_PATH = "/v1/learning/tasks?limit=500";

/** The words name no learning task, or several; the message lists what there is. */
class TaskNotFound extends Error {
  override readonly name = "TaskNotFound";
  readonly code = "cli.no-such-task";
}

/** @returns path of the task, for REST */
export function pathOf(task: string): string {
  return `/v1/learning/tasks/${task}`;
}

/** @returns all tasks that the agent knows, newest first @throws RestError */
export async function listTasks(client: RestClient): Promise<readonly TaskDocument[]> {
  return (await client.get<Body<typeof learningTasks>>(LIST_PATH)).items;
}

/**
 * @param words its id, the beginning of it, or its name
 * @returns its id
 * @throws RestError; TaskNotFound where none has it, or several do
 */
export async function findTask(client: RestClient, words: string): Promise<string> {
  if (ID_PATTERN.test(words)) return words;
  const tasks = await listTasks(client);
  const named = tasks.filter(({ spec }) => spec.name === words);
  const found = named.length > 0 ? named : tasks.filter(({ task }) => task.startsWith(words));
  const [only, ...others] = found;
  if (only !== undefined && words !== "" && others.length === 0) return only.task;
  const shown = (found.length > 0 ? found : tasks).map(
    ({ task, spec, state }) => `  ${task}  ${spec.name}, ${state}`,
  );
  const why =
    found.length > 0
      ? `"${words}" is more than one learning task; write more of the id:`
      : `no learning task is "${words}"; ${shown.length > 0 ? "there are:" : "none is known here"}`;
  throw new TaskNotFound([why, ...shown].join("\n"));
}
