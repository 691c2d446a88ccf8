import type { FastifyInstance } from "fastify";
import { allow } from "./allow.ts";
import type { ReceiverHttpParts } from "./parts.ts";
import { ReceiverProblem } from "./problem.ts";

const LIMIT_MAX = 10_000;

/** Adds what readers call: updates in order, agents, and what there is of their streams. */
export function addReading(app: FastifyInstance, { receiver, tokens }: ReceiverHttpParts): void {
  const onRequest = allow(tokens, "reader");

  app.get("/v1/updates", { onRequest }, async (request, reply) => {
    const { agent, stream, from, limit } = request.query as Record<string, unknown>;
    const query = {
      agent: textParameter("agent", agent),
      stream: textParameter("stream", stream),
      from: wholeNumber("from", from, 1, Number.MAX_SAFE_INTEGER),
      limit: wholeNumber("limit", limit, 1_000, LIMIT_MAX),
    };
    const { updates, next } = await receiver.read(query);
    if (next !== undefined) {
      const further = new URLSearchParams({
        agent: query.agent,
        stream: query.stream,
        from: String(next),
        limit: String(query.limit),
      });
      reply.header("link", `</v1/updates?${further.toString()}>; rel="next"`);
    }
    let body = "";
    for (const { line } of updates) body += `${line}\n`;
    return reply.type("application/x-ndjson; charset=utf-8").send(body);
  });

  app.get("/v1/agents", { onRequest }, (_request, reply) => {
    reply.send({ items: receiver.agents() });
  });

  app.get<{ Params: { id: string } }>("/v1/agents/:id/marks", { onRequest }, (request, reply) => {
    const streams = receiver.streams(request.params.id);
    if (streams === undefined)
      throw new ReceiverProblem("agent.not-found", "Nothing came from an agent of this id.");
    reply.send({ agent: request.params.id, items: streams });
  });
}

function textParameter(name: string, value: unknown): string {
  if (typeof value === "string" && value !== "") return value;
  throw new ReceiverProblem("request.malformed", `Say which: ?${name}=… is missing.`);
}

function wholeNumber(name: string, value: unknown, fallback: number, max: number): number {
  if (value === undefined) return fallback;
  const number = typeof value === "string" && /^\d{1,16}$/.test(value) ? Number(value) : 0;
  if (number >= 1 && number <= max) return number;
  throw new ReceiverProblem(
    "request.malformed",
    `${name} has to be a whole number from 1 to ${max}.`,
  );
}
