import type { FastifyInstance } from "fastify";
import { isAgentId } from "../../sync/marks-wire.ts";
import type { ReceiverRole } from "../access.ts";
import { allow } from "./allow.ts";
import { readText } from "./body.ts";
import type { ReceiverHttpParts } from "./parts.ts";
import { ReceiverProblem } from "./problem.ts";

/** Adds health, metrics and status, and what admins call: tokens, and forgetting an agent. */
export function addManaging(app: FastifyInstance, parts: ReceiverHttpParts): void {
  const { receiver, tokens, metrics } = parts;
  const admin = { onRequest: allow(tokens) };
  const reader = { onRequest: allow(tokens, "reader") };

  app.get("/healthz", (_request, reply) => {
    const { storeFault } = receiver.status();
    if (storeFault === undefined) reply.send({ ok: true });
    else reply.code(503).send({ ok: false, reason: storeFault });
  });

  app.get("/metrics", parts.metricsPublic ? {} : reader, async (_request, reply) => {
    const { contentType, body } = await metrics.expose();
    return reply.type(contentType).send(body);
  });

  app.get("/v1/status", reader, (_request, reply) => {
    reply.send(parts.status());
  });

  app.get("/v1/tokens", admin, (_request, reply) => {
    reply.send({ items: tokens.list() });
  });

  app.post("/v1/tokens", admin, async (request, reply) => {
    const body = request.body instanceof Buffer ? request.body : Buffer.alloc(0);
    const { role, agent } = wishOf(await readText(body, request.headers["content-encoding"]));
    const { token, info } = await tokens.create(role, agent);
    return reply.code(201).send({ ...info, token });
  });

  app.delete<{ Params: { id: string } }>("/v1/tokens/:id", admin, async (request, reply) => {
    if (!(await tokens.revoke(request.params.id)))
      throw new ReceiverProblem("token.not-found", "No token has this id; see GET /v1/tokens.");
    return reply.code(204).send();
  });

  app.delete<{ Params: { id: string } }>("/v1/agents/:id", admin, async (request, reply) => {
    if (!(await receiver.forget(request.params.id)))
      throw new ReceiverProblem("agent.not-found", "Nothing came from an agent of this id.");
    return reply.code(204).send();
  });
}

function wishOf(text: string): { role: ReceiverRole; agent?: string } {
  let wish: { role?: unknown; agent?: unknown };
  try {
    wish = (JSON.parse(text) ?? {}) as typeof wish;
  } catch {
    throw new ReceiverProblem("request.malformed", 'Send JSON, for example {"agent": "pi-1"}.');
  }
  const { agent, role = "agent" } = wish;
  if (role === "relay" || role === "reader" || role === "admin") return { role };
  if (role !== "agent")
    throw new ReceiverProblem("request.malformed", "role has to be agent, relay, reader or admin.");
  if (!isAgentId(agent))
    throw new ReceiverProblem("request.malformed", "agent has to be the id of the agent.");
  return { role, agent };
}
