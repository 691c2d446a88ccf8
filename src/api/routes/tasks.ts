import * as Type from "typebox";
import { type Order, type OrderState } from "../../coordination/tasks/order.ts";
import type { Answer } from "../../coordination/tasks/workshop.ts";
import { decodeCursor, encodeCursor, listQuery, pageOf, plainListQuery } from "../cursor.ts";
import { ApiProblem } from "../problem.ts";
import type { Router } from "../route.ts";
import { task, taskAnswer, taskBrief, taskOffers, taskRequest, tasks } from "../schemas/tasks.ts";

const ID_LENGTH_MAX = 64;
const storeProblems = ["store.full", "store.failed", "store.closed"] as const;
const path = Type.Object({
  id: Type.String({ minLength: 1, maxLength: ID_LENGTH_MAX, description: "Id of the task." }),
});
const query = listQuery({
  state: Type.Optional(taskBrief.properties.state),
  kind: Type.Optional(Type.String({ maxLength: 32, description: "Only tasks of this kind." })),
});

/** What agents do for each other. */
export function addTasks({ add, context }: Router): void {
  add({
    method: "POST",
    url: "/v1/tasks",
    operationId: "orderTask",
    tag: "tasks",
    summary: "Have a task done by agents of the fleet",
    description:
      "It is on disk when it is answered. A task that nobody can do is refused at once, with what is missing.",
    scope: "operator",
    body: taskRequest,
    success: {
      status: 202,
      description: "It was taken; watch it at the Location.",
      schema: task,
      headers: { Location: "Where the task is seen." },
    },
    problems: [
      "tasks.off",
      "tasks.unmet",
      "tasks.dependency",
      "tasks.full",
      "tasks.invalid",
      ...storeProblems,
    ],
    async handler({ body }, reply) {
      const { input = null, minAgents, maxAgents, timeoutMs, ...spec } = body;
      const order = await context.tasks.order({
        ...spec,
        input: JSON.stringify(input),
        agentsMin: minAgents,
        agentsMax: maxAgents ?? minAgents,
        timeoutMs: timeoutMs ?? spec.deadlineMs,
      });
      reply.header("location", `/v1/tasks/${order.id}`);
      return showOrder(order);
    },
  });

  add({
    method: "GET",
    url: "/v1/tasks",
    operationId: "listTasks",
    tag: "tasks",
    summary: "Tasks that this agent took, newest first",
    scope: "viewer",
    query,
    success: { status: 200, description: "A page of tasks.", schema: tasks },
    problems: ["request.cursor"],
    handler({ query: { limit, cursor, state, kind } }) {
      const filter = `${state ?? ""} ${kind ?? ""}`;
      const { seal } = context.tokens;
      const before = decodeCursor(seal, "tasks", filter, cursor, "number");
      const found = context.tasks
        .orders()
        .filter(
          (order) =>
            order.number < (before ?? Number.POSITIVE_INFINITY) &&
            (state === undefined || order.state === state) &&
            (kind === undefined || order.spec.kind === kind),
        );
      const items = found.slice(0, limit);
      const last = items.at(-1);
      return {
        items: items.map(showBrief),
        ...(last !== undefined &&
          items.length < found.length && {
            nextCursor: encodeCursor(seal, "tasks", filter, last.number),
          }),
      };
    },
  });

  add({
    method: "GET",
    url: "/v1/tasks/:id",
    operationId: "getTask",
    tag: "tasks",
    summary: "One task: who bid, who was awarded it, what came of it",
    scope: "viewer",
    path,
    success: { status: 200, description: "The task.", schema: task },
    problems: ["tasks.not-found"],
    handler: ({ params: { id } }) => showOrder(context.tasks.get(id) ?? unknown(id)),
  });

  add({
    method: "POST",
    url: "/v1/tasks/:id/cancel",
    operationId: "cancelTask",
    tag: "tasks",
    summary: "Cancel a task",
    description: "Those who work on it are told to stop. A task that has ended stays as it is.",
    scope: "operator",
    path,
    success: { status: 200, description: "The task as it is now.", schema: task },
    problems: ["tasks.not-found"],
    handler: ({ params: { id } }) => showOrder(context.tasks.cancel(id) ?? unknown(id)),
  });
  addWork({ add, context });
}

/** What programs on this device do for the fleet. */
function addWork({ add, context }: Router): void {
  add({
    method: "GET",
    url: "/v1/tasks/offers",
    operationId: "listTaskOffers",
    tag: "tasks",
    summary: "Work that programs on this device are to do",
    description:
      "Of the kinds in `coordination.tasks.kinds`. The same is published over MQTT, on `agent-mesh/{agentId}/$tasks/{kind}/{id}`.",
    scope: "operator",
    query: plainListQuery,
    success: { status: 200, description: "A page of work, oldest first.", schema: taskOffers },
    problems: ["request.cursor"],
    handler({ query }) {
      const items = context.tasks
        .offers()
        .map(({ input, ...offer }) => ({ ...offer, input: jsonOf(input) }));
      return pageOf(context.tokens.seal, "task-offers", items, query);
    },
  });

  add({
    method: "POST",
    url: "/v1/tasks/:id/result",
    operationId: "answerTask",
    tag: "tasks",
    summary: "Say what came of work that was offered, or how far it is",
    scope: "operator",
    path,
    body: taskAnswer,
    success: { status: 204, description: "It was passed on." },
    problems: ["tasks.no-offer"],
    handler({ params: { id }, body }) {
      if (!context.tasks.answer(id, answerOf(body))) throw new ApiProblem("tasks.no-offer");
    },
  });
}

function answerOf(body: Type.Static<typeof taskAnswer>): Answer {
  if ("failure" in body) return { kind: "failed", reason: body.failure };
  if ("progress" in body) return { kind: "progress", percent: body.progress };
  return { kind: "done", output: JSON.stringify(body.output) };
}

function unknown(id: string): never {
  throw new ApiProblem("tasks.not-found", `There is no task "${id}"; GET /v1/tasks lists them.`);
}

function showBrief(order: Order) {
  const { id, state, fault, detail, orderedAt, endedAtMs, attempts, contractors, spec } = order;
  const { kind, method, priority } = spec;
  return {
    id,
    kind,
    state: state satisfies OrderState,
    ...(fault !== undefined && { fault }),
    ...(detail !== undefined && { detail }),
    method,
    priority,
    orderedAtMs: orderedAt.wallMs,
    ...(endedAtMs !== undefined && { endedAtMs }),
    attempts,
    agents: contractors.map(({ peer, agentId }) => agentId ?? peer),
  };
}

function showOrder(order: Order) {
  const { spec, failures, bids, contractors, results, history } = order;
  const { input, needs, memoryBytes, agentsMin, agentsMax, deadlineMs, timeoutMs } = spec;
  return {
    ...showBrief(order),
    input: jsonOf(input),
    needs,
    memoryBytes,
    minAgents: agentsMin,
    maxAgents: agentsMax,
    deadlineMs,
    timeoutMs,
    after: spec.after,
    retriesMax: spec.retriesMax,
    failures,
    bids: bids.map(({ peer, ...bid }) => ({ peerId: peer, ...bid })),
    contractors: contractors.map(({ peer, ...contractor }) => ({ peerId: peer, ...contractor })),
    results: results.map(({ peer, output, ...result }) => ({
      peerId: peer,
      ...result,
      ...(output !== undefined && { output: jsonOf(output) }),
    })),
    history: history.map(({ agent, ...moment }) => ({
      ...moment,
      ...(agent !== undefined && { peerId: agent.peer }),
      ...(agent?.agentId !== undefined && { agentId: agent.agentId }),
    })),
  };
}

/** What other agents say is JSON need not be. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
