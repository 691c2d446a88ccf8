import * as Type from "typebox";
import type { LearningRound, LearningTask } from "../../federated/view.ts";
import { decodeCursor, encodeCursor, listQuery, plainListQuery } from "../cursor.ts";
import { ApiProblem } from "../problem.ts";
import type { Router } from "../route.ts";
import type { Body } from "../schemas/common.ts";
import {
  learning,
  type learningRound,
  learningRounds,
  learningState,
  learningTaskId,
  learningTaskRequest,
  learningTask as learningTaskSchema,
  learningTaskSpec,
  learningTasks,
  newestLearningRounds,
  prediction,
  predictRequest,
} from "../schemas/learning.ts";

/** Of each task. */
const ROUNDS_KEPT = 1_024;
const TASKS_URL = "/v1/learning/tasks";
const TASK_URL = `${TASKS_URL}/:task`;
const storeProblems = ["store.full", "store.failed", "store.closed"] as const;
const path = Type.Object({ task: learningTaskId });
const tasksQuery = listQuery({
  state: Type.Optional(learningState),
  name: Type.Optional(
    Type.String({ maxLength: 63, description: "Only tasks that are called so." }),
  ),
});
const roundsQuery = listQuery({
  after: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: Number.MAX_SAFE_INTEGER,
      description: "Only rounds with larger numbers.",
    }),
  ),
});

/** What the fleet learns. */
export function addLearning(router: Router): void {
  const { add, context } = router;
  add({
    method: "GET",
    url: "/v1/learning",
    operationId: "getLearning",
    tag: "learning",
    summary: "Learning, in short",
    scope: "viewer",
    success: { status: 200, description: "As this agent knows it.", schema: learning },
    handler: () => context.learning.status(),
  });

  add({
    method: "GET",
    url: TASKS_URL,
    operationId: "listLearningTasks",
    tag: "learning",
    summary: "Learning tasks of the fleet, newest first",
    scope: "viewer",
    query: tasksQuery,
    success: { status: 200, description: "A page of tasks.", schema: learningTasks },
    problems: ["request.cursor"],
    handler({ query: { limit, cursor, state, name } }) {
      const { seal } = context.tokens;
      const list = "learning-tasks";
      const filter = `${state ?? ""} ${name ?? ""}`;
      const last = decodeCursor(seal, list, filter, cursor, "string");
      const all = context.learning.tasks();
      const begin = all.findIndex(({ task }) => task === last) + 1;
      // A task that is known no more marks no place.
      if (last !== undefined && begin === 0) throw new ApiProblem("request.cursor");
      const found = all
        .slice(begin)
        .filter(
          (task) =>
            (state === undefined || task.state === state) &&
            (name === undefined || task.spec.name === name),
        );
      const items = found.slice(0, limit);
      const end = items.at(-1);
      return {
        items: items.map(showTask),
        ...(end !== undefined &&
          items.length < found.length && {
            nextCursor: encodeCursor(seal, list, filter, end.task),
          }),
      };
    },
  });

  add({
    method: "GET",
    url: TASK_URL,
    operationId: "getLearningTask",
    tag: "learning",
    summary: "One learning task: what is asked for, how far it is, what this agent does for it",
    scope: "viewer",
    path,
    success: { status: 200, description: "The task.", schema: learningTaskSchema },
    problems: ["learning.unknown-task"],
    handler: ({ params: { task } }) => showTask(context.learning.task(task) ?? unknown(task)),
  });

  add({
    method: "GET",
    url: `${TASK_URL}/rounds`,
    operationId: "listLearningRounds",
    tag: "learning",
    summary: "Rounds of a learning task that are decided",
    description: "The newest 1,024 that this agent heard of since its start.",
    scope: "viewer",
    path,
    query: roundsQuery,
    success: { status: 200, description: "Oldest first.", schema: learningRounds },
    problems: ["request.cursor", "learning.unknown-task"],
    handler({ params: { task }, query: { limit, cursor, after = 0 } }) {
      const { seal } = context.tokens;
      const list = `learning-rounds ${task}`;
      const filter = String(after);
      const begin = decodeCursor(seal, list, filter, cursor, "number") ?? after;
      const found = context.learning.rounds(task, begin, limit + 1) ?? unknown(task);
      const items = found.slice(0, limit);
      const last = items.at(-1);
      return {
        items: items.map(showRound),
        ...(last !== undefined &&
          items.length < found.length && {
            nextCursor: encodeCursor(seal, list, filter, last.round),
          }),
      };
    },
  });
  addNewestRounds(router);
  addOrders(router);
  addPredict(router);
}

/** Rounds as they came, whatever task they are of. */
function addNewestRounds({ add, context }: Router): void {
  add({
    method: "GET",
    url: "/v1/learning/rounds",
    operationId: "listNewestLearningRounds",
    tag: "learning",
    summary: "Rounds of all learning tasks, newest first",
    description: "Of each task the newest 1,024 that this agent heard of since its start.",
    scope: "viewer",
    query: plainListQuery,
    success: { status: 200, description: "A page of rounds.", schema: newestLearningRounds },
    problems: ["request.cursor"],
    handler({ query: { limit, cursor } }) {
      const { seal } = context.tokens;
      const list = "learning-newest-rounds";
      const last = decodeCursor(seal, list, "", cursor, "string");
      const all = context.learning
        .tasks()
        .flatMap(({ task, spec }) =>
          (context.learning.rounds(task, 0, ROUNDS_KEPT) ?? []).map((round) => ({
            task,
            name: spec.name,
            ...showRound(round),
          })),
        )
        .toSorted(
          (one, other) =>
            other.heardAtMs - one.heardAtMs ||
            other.round - one.round ||
            (one.task < other.task ? -1 : 1),
        );
      const begin = all.findIndex((round) => placeOf(round) === last) + 1;
      // A round that is kept no more marks no place.
      if (last !== undefined && begin === 0) throw new ApiProblem("request.cursor");
      const items = all.slice(begin, begin + limit);
      const end = items.at(-1);
      return {
        items,
        ...(end !== undefined &&
          begin + items.length < all.length && {
            nextCursor: encodeCursor(seal, list, "", placeOf(end)),
          }),
      };
    },
  });
}

function placeOf({ task, round }: { readonly task: string; readonly round: number }): string {
  return `${task} ${round}`;
}

/** What changes what the fleet learns. */
function addOrders({ add, context }: Router): void {
  add({
    method: "POST",
    url: TASKS_URL,
    operationId: "startLearningTask",
    tag: "learning",
    summary: "Have the fleet learn something",
    description:
      "It is on disk and on its way to all agents when it is answered. This agent is its author: it alone can pause and stop it.",
    scope: "operator",
    body: learningTaskRequest,
    bodyInDocument: learningTaskSpec,
    success: {
      status: 201,
      description: "It was started; watch it at the Location.",
      schema: learningTaskSchema,
      headers: { Location: "Where the task is seen." },
    },
    problems: ["learning.off", "learning.spec", "learning.full", "learning.busy", ...storeProblems],
    async handler({ body }, reply) {
      const started = await context.learning.start(body);
      reply.header("location", `${TASKS_URL}/${started.task}`);
      return showTask(started);
    },
  });

  for (const { verb, state, operationId, summary, description } of controls)
    add({
      method: "POST",
      url: `${TASK_URL}/${verb}`,
      operationId,
      tag: "learning",
      summary,
      description,
      scope: "operator",
      path,
      success: { status: 200, description: "The task as it is now.", schema: learningTaskSchema },
      problems: [
        "learning.off",
        "learning.unknown-task",
        "learning.not-the-author",
        "learning.ended",
        ...storeProblems,
      ],
      handler: async ({ params: { task } }) =>
        showTask(await context.learning.control(task, state)),
    });
}

const controls = [
  {
    verb: "pause",
    state: "paused",
    operationId: "pauseLearningTask",
    summary: "Let a learning task rest",
    description: "No new round begins; what was decided stays.",
  },
  {
    verb: "resume",
    state: "running",
    operationId: "resumeLearningTask",
    summary: "Let a learning task go on",
    description: "With the round that it rested at.",
  },
  {
    verb: "stop",
    state: "stopped",
    operationId: "stopLearningTask",
    summary: "End a learning task for good",
    description: "A task that was stopped can not go on; start a new one.",
  },
] as const;

function addPredict({ add, context }: Router): void {
  add({
    method: "POST",
    url: `${TASK_URL}/predict`,
    operationId: "predictWithLearningTask",
    tag: "learning",
    summary: "Run the newest model of a learning task",
    description:
      "On this agent. Nothing is changed by it, and nothing of the samples leaves the device.",
    scope: "operator",
    path,
    body: predictRequest,
    success: { status: 200, description: "What the model says.", schema: prediction },
    problems: ["learning.off", "learning.unknown-task", "learning.spec", "learning.no-model"],
    async handler({ params: { task }, body: { features, model: asked } }) {
      const { round, model, outputs } = await context.learning.predict(task, features, asked);
      // JSON has no word for them; a model that diverged answers with nothing else.
      if (!outputs.flat().every(Number.isFinite))
        throw new ApiProblem(
          "learning.no-model",
          `The model of round ${round} gives numbers that are not finite for these samples.`,
        );
      const hasClasses = context.learning.task(task)?.spec.model.loss === "softmax-cross-entropy";
      return { round, model, outputs, ...(hasClasses && { classes: outputs.map(largestOf) }) };
    },
  });
}

function largestOf(values: readonly number[]): number {
  return values.indexOf(Math.max(...values));
}

function unknown(task: string): never {
  throw new ApiProblem(
    "learning.unknown-task",
    `There is no learning task "${task}"; GET ${TASKS_URL} lists them.`,
  );
}

function showTask({ latest, ...task }: LearningTask): Body<typeof learningTaskSchema> {
  return { ...task, ...(latest !== undefined && { latest: showRound(latest) }) };
}

function showRound({
  evaluation,
  ownEvaluation,
  ...round
}: LearningRound): Body<typeof learningRound> {
  return {
    ...round,
    ...(evaluation !== undefined && { evaluation: finite(evaluation) }),
    ...(ownEvaluation !== undefined && { ownEvaluation: finite(ownEvaluation) }),
  };
}

/** JSON has no word for a loss that is not finite. */
function finite(evaluation: NonNullable<LearningRound["evaluation"]>) {
  const { loss, ...rest } = evaluation;
  return Number.isFinite(loss) ? evaluation : rest;
}
