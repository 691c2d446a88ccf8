import * as Type from "typebox";
import type { LearningAlert } from "../../federated/serving/view.ts";
import { decodeCursor, encodeCursor, listQuery } from "../cursor.ts";
import { ApiProblem } from "../problem.ts";
import type { Router } from "../route.ts";
import { learningTaskId } from "../schemas/learning.ts";
import {
  learningAlerts,
  learningLabel,
  learningLabelRequest,
  learningLabels,
  learningServing,
  learningVersions,
} from "../schemas/learning-serving.ts";

const TASK_URL = "/v1/learning/tasks/:task";
const VERSIONS_URL = `${TASK_URL}/versions`;
const LABELS_URL = `${TASK_URL}/labels`;
const storeProblems = ["store.full", "store.failed", "store.closed"] as const;
const problems = ["learning.off", "learning.unknown-task", "learning.no-streams"] as const;
const path = Type.Object({ task: learningTaskId });
const versionPath = Type.Object({
  task: learningTaskId,
  round: Type.Integer({ minimum: 0, maximum: 1_000_000, description: "Round of the model." }),
});
const labelPath = Type.Object({
  task: learningTaskId,
  id: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER, description: "Of the label." }),
});
const alertsQuery = listQuery({ task: Type.Optional(learningTaskId) });

/** What this agent makes of learned models on its own streams. */
export function addLearningServing(router: Router): void {
  const { add, context } = router;
  add({
    method: "GET",
    url: "/v1/learning/alerts",
    operationId: "listLearningAlerts",
    tag: "learning",
    summary: "Anomalies in this agent's streams, newest first",
    description: "The newest 256 since its start, raised and cleared, of all learning tasks.",
    scope: "viewer",
    query: alertsQuery,
    success: { status: 200, description: "A page of alerts.", schema: learningAlerts },
    problems: ["request.cursor"],
    handler({ query: { limit, cursor, task } }) {
      const { seal } = context.tokens;
      const list = "learning-alerts";
      const last = decodeCursor(seal, list, task ?? "", cursor, "string");
      const all = context.learning.serving.alerts();
      const begin = all.findIndex((alert) => placeOf(alert) === last) + 1;
      // An alert that is kept no more marks no place.
      if (last !== undefined && begin === 0) throw new ApiProblem("request.cursor");
      const found = all.slice(begin).filter((alert) => task === undefined || alert.task === task);
      const items = found.slice(0, limit);
      const end = items.at(-1);
      return {
        items,
        ...(end !== undefined &&
          items.length < found.length && {
            nextCursor: encodeCursor(seal, list, task ?? "", placeOf(end)),
          }),
      };
    },
  });
  add({
    method: "GET",
    url: `${TASK_URL}/serving`,
    operationId: "getLearningServing",
    tag: "learning",
    summary: "How this agent judges its own streams by a learning task's model",
    scope: "viewer",
    path,
    success: { status: 200, description: "As it is now.", schema: learningServing },
    problems,
    handler: ({ params: { task } }) => context.learning.serving.state(task),
  });
  addVersions(router);
  addLabels(router);
}

function addVersions({ add, context }: Router): void {
  const show = (task: string) => {
    const { versions, ...rest } = context.learning.serving.versions(task);
    return { items: versions, ...rest };
  };
  add({
    method: "GET",
    url: VERSIONS_URL,
    operationId: "listLearningVersions",
    tag: "learning",
    summary: "Models of a learning task on this agent: which serves, which is on trial",
    scope: "viewer",
    path,
    success: { status: 200, description: "Newest round first.", schema: learningVersions },
    problems,
    handler: ({ params: { task } }) => show(task),
  });
  for (const { kind, operationId, summary, description } of roundCommands)
    add({
      method: "POST",
      url: `${VERSIONS_URL}/:round/${kind}`,
      operationId,
      tag: "learning",
      summary,
      description,
      scope: "operator",
      path: versionPath,
      success: {
        status: 200,
        description: "The models as they are now.",
        schema: learningVersions,
      },
      problems: [...problems, "learning.version"],
      async handler({ params: { task, round } }) {
        await context.learning.serving.command(task, { kind, round });
        return show(task);
      },
    });
  for (const { kind, operationId, summary, description } of commands)
    add({
      method: "POST",
      url: `${VERSIONS_URL}/${kind}`,
      operationId,
      tag: "learning",
      summary,
      description,
      scope: "operator",
      path,
      success: {
        status: 200,
        description: "The models as they are now.",
        schema: learningVersions,
      },
      problems: [...problems, "learning.version"],
      async handler({ params: { task } }) {
        await context.learning.serving.command(task, { kind });
        return show(task);
      },
    });
}

const roundCommands = [
  {
    kind: "promote",
    operationId: "promoteLearningVersion",
    summary: "Have a round's model judge from now on",
    description: "Whatever its trial says. Later models are tried beside it.",
  },
  {
    kind: "pin",
    operationId: "pinLearningVersion",
    summary: "Have a round's model judge until it is unpinned",
    description: "No later model replaces it.",
  },
] as const;

const commands = [
  {
    kind: "rollback",
    operationId: "rollBackLearningVersion",
    summary: "Have the model judge that did before",
    description: "The one that is left behind does not come back by itself.",
  },
  {
    kind: "unpin",
    operationId: "unpinLearningVersion",
    summary: "Let later models take over again",
    description: "What judges now stays until one is found to be as good.",
  },
] as const;

function addLabels({ add, context }: Router): void {
  add({
    method: "GET",
    url: LABELS_URL,
    operationId: "listLearningLabels",
    tag: "learning",
    summary: "What people said of this agent's streams, oldest entry first",
    scope: "viewer",
    path,
    query: listQuery({}),
    success: { status: 200, description: "A page of labels.", schema: learningLabels },
    problems: ["request.cursor", ...problems],
    handler({ params: { task }, query: { limit, cursor } }) {
      const { seal } = context.tokens;
      const list = `learning-labels ${task}`;
      const after = decodeCursor(seal, list, "", cursor, "number") ?? 0;
      const found = context.learning.serving.labels(task).filter(({ id }) => id > after);
      const items = found.slice(0, limit);
      const end = items.at(-1);
      return {
        items,
        ...(end !== undefined &&
          items.length < found.length && { nextCursor: encodeCursor(seal, list, "", end.id) }),
      };
    },
  });
  add({
    method: "POST",
    url: LABELS_URL,
    operationId: "addLearningLabel",
    tag: "learning",
    summary: "Say what a time was: a failure, or a class",
    description:
      "On this agent alone. Where two labels cover a moment the later one counts. With more than 1,024 the oldest go.",
    scope: "operator",
    path,
    body: learningLabelRequest,
    success: { status: 201, description: "It was taken in.", schema: learningLabel },
    problems: [...problems, "learning.label", ...storeProblems],
    handler: ({ params: { task }, body, caller }) =>
      context.learning.serving.addLabel(task, { ...body, who: caller?.name ?? "nobody" }),
  });
  add({
    method: "DELETE",
    url: `${LABELS_URL}/:id`,
    operationId: "removeLearningLabel",
    tag: "learning",
    summary: "Take a label back",
    scope: "operator",
    path: labelPath,
    success: { status: 204, description: "It counts no more." },
    problems: [...problems, "learning.unknown-label", ...storeProblems],
    async handler({ params: { task, id } }) {
      if (!(await context.learning.serving.removeLabel(task, id)))
        throw new ApiProblem("learning.unknown-label", `The task has no label ${id} here.`);
    },
  });
}

function placeOf({ atMs, task, state }: LearningAlert): string {
  return `${atMs} ${task} ${state}`;
}
