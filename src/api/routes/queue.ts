import * as Type from "typebox";
import type { Update } from "../../outbox/update.ts";
import type { DeadLetter } from "../../outbox/view.ts";
import { showBytes } from "../bytes.ts";
import { decodeCursor, encodeCursor, listQuery, plainListQuery } from "../cursor.ts";
import { ApiProblem } from "../problem.ts";
import type { Router } from "../route.ts";
import { deadLetters, queue, queueControl, queueMessages } from "../schemas/queue.ts";

const storeProblems = [
  "outbox.store-failed",
  "outbox.closed",
  "store.full",
  "store.failed",
  "store.closed",
] as const;

const messagesQuery = listQuery({
  stream: Type.Optional(
    Type.String({ minLength: 1, maxLength: 1_024, description: "Only updates of this stream." }),
  ),
});

const deadLetterPath = Type.Object({
  id: Type.String({ minLength: 1, maxLength: 512, description: "Id of the dead letter." }),
});

/** What waits to leave. */
export function addQueue({ add, context }: Router): void {
  add({
    method: "GET",
    url: "/v1/queue",
    operationId: "getQueue",
    tag: "queue",
    summary: "The queue in numbers",
    scope: "viewer",
    success: { status: 200, description: "The queue.", schema: queue },
    handler: () => context.queue.status(),
  });

  add({
    method: "GET",
    url: "/v1/queue/messages",
    operationId: "listQueueMessages",
    tag: "queue",
    summary: "Updates that wait, in delivery order",
    scope: "viewer",
    query: messagesQuery,
    success: { status: 200, description: "A page of updates.", schema: queueMessages },
    problems: ["request.cursor", ...storeProblems],
    async handler({ query: { limit, cursor, stream } }) {
      const filter = stream ?? "";
      const place = decodeCursor(context.tokens.seal, "messages", filter, cursor, "string");
      const page = await context.queue.list({
        limit,
        ...(place === undefined ? {} : { cursor: place }),
        ...(stream === undefined ? {} : { stream }),
      });
      return {
        items: page.updates.map(showUpdate),
        ...(page.cursor === undefined
          ? {}
          : { nextCursor: encodeCursor(context.tokens.seal, "messages", filter, page.cursor) }),
      };
    },
  });
  addControls({ add, context });
}

/** POST /v1/queue/{flush,pause,resume} */
function addControls({ add, context }: Router): void {
  const state = () => {
    const { updates, bytes } = context.queue.status();
    return { paused: context.uplinks.paused, updates, bytes };
  };
  add({
    method: "POST",
    url: "/v1/queue/flush",
    operationId: "flushQueue",
    tag: "queue",
    summary: "Send what waits now, whatever the power policy's batching says",
    description: "A paused queue stays paused.",
    scope: "operator",
    success: {
      status: 202,
      description: "Sending has begun; watch it at the Location.",
      schema: queueControl,
      headers: { Location: "Where the queue is seen." },
    },
    handler(_request, reply) {
      context.uplinks.flush();
      reply.header("location", "/v1/queue");
      return state();
    },
  });

  for (const verb of ["pause", "resume"] as const) {
    add({
      method: "POST",
      url: `/v1/queue/${verb}`,
      operationId: `${verb}Queue`,
      tag: "queue",
      summary:
        verb === "pause"
          ? "Let nothing leave until resumed; kept across restarts"
          : "Let updates leave again",
      scope: "operator",
      success: { status: 200, description: "Done, and durable.", schema: queueControl },
      problems: storeProblems,
      async handler() {
        await context.uplinks[verb]();
        return state();
      },
    });
  }
}

/** What cannot be delivered. */
export function addDeadLetters({ add, context }: Router): void {
  add({
    method: "GET",
    url: "/v1/queue/dead-letters",
    operationId: "listDeadLetters",
    tag: "queue",
    summary: "Updates and messages that cannot be delivered, with the reason",
    scope: "viewer",
    query: plainListQuery,
    success: { status: 200, description: "A page of dead letters.", schema: deadLetters },
    problems: ["request.cursor", ...storeProblems],
    async handler({ query: { limit, cursor } }) {
      const place = decodeCursor(context.tokens.seal, "dead-letters", "", cursor, "string");
      const page = await context.queue.listDeadLetters({
        limit,
        ...(place === undefined ? {} : { cursor: place }),
      });
      return {
        items: page.deadLetters.map(showDeadLetter),
        ...(page.cursor === undefined
          ? {}
          : { nextCursor: encodeCursor(context.tokens.seal, "dead-letters", "", page.cursor) }),
      };
    },
  });

  add({
    method: "POST",
    url: "/v1/queue/dead-letters/:id/requeue",
    operationId: "requeueDeadLetter",
    tag: "queue",
    summary: "Put a dead letter back at the end of the queue",
    scope: "operator",
    path: deadLetterPath,
    success: { status: 204, description: "It is in the queue again, durably." },
    problems: [
      "dead-letter.not-found",
      "outbox.full",
      "outbox.too-many-streams",
      "outbox.update-too-large",
      "outbox.busy",
      ...storeProblems,
    ],
    async handler({ params: { id } }) {
      if (!(await context.queue.requeueDeadLetter(id))) throw unknownDeadLetter(id);
    },
  });

  add({
    method: "DELETE",
    url: "/v1/queue/dead-letters/:id",
    operationId: "deleteDeadLetter",
    tag: "queue",
    summary: "Delete a dead letter for good",
    scope: "operator",
    path: deadLetterPath,
    success: { status: 204, description: "It is gone." },
    problems: ["dead-letter.not-found", ...storeProblems],
    async handler({ params: { id } }) {
      if (!(await context.queue.deleteDeadLetter(id))) throw unknownDeadLetter(id);
    },
  });
}

function unknownDeadLetter(id: string): ApiProblem {
  return new ApiProblem(
    "dead-letter.not-found",
    `There is no dead letter "${id}"; GET /v1/queue/dead-letters lists them.`,
  );
}

function showUpdate(update: Update) {
  const { stream, sequence, ordinal, priority, contentType, payload, key } = update;
  const { bootId, observedAtMs, observedAtTrusted, monotonicMs, expiresAfterMs = 0 } = update;
  return {
    id: update.id,
    stream,
    sequence,
    ordinal,
    priority,
    bootId,
    observedAtMs,
    observedAtTrusted,
    monotonicMs,
    ...(expiresAfterMs > 0 && { expiresAfterMs }),
    ...(key !== undefined && { key }),
    contentType,
    payload: showBytes(payload),
  };
}

function showDeadLetter({ payload, ...letter }: DeadLetter) {
  return { ...letter, payload: showBytes(payload) };
}
