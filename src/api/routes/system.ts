import * as Type from "typebox";
import { sendCacheable } from "../cacheable.ts";
import { ApiProblem } from "../problem.ts";
import { isProblemCode, problemCatalogue } from "../problem-catalogue.ts";
import { alreadySent, type Router } from "../route.ts";
import { alive, apiCatalog, notReady, ready } from "../schemas/system.ts";

/** What orchestrators, scrapers and API tools ask for. */
export function addSystem({ add, context }: Router, options: { metricsPublic: boolean }): void {
  add({
    method: "GET",
    url: "/healthz",
    operationId: "getHealth",
    tag: "system",
    summary: "Whether the process answers",
    scope: "public",
    success: { status: 200, description: "It does.", schema: alive },
    handler: () => ({ alive: true }) as const,
  });

  add({
    method: "GET",
    url: "/readyz",
    operationId: "getReadiness",
    tag: "system",
    summary: "Whether the agent can do its work",
    scope: "public",
    success: { status: 200, description: "It can.", schema: ready },
    further: [
      {
        status: 503,
        description: "`agent.not-ready`: some check fails, and says what to do about it.",
        mediaType: "application/problem+json",
        schema: notReady,
      },
    ],
    handler() {
      const checks = context.health();
      const failing = checks.filter(({ ok }) => !ok);
      if (failing.length === 0) return { ready: true as const, checks };
      throw new ApiProblem(
        "agent.not-ready",
        failing.map(({ name, detail }) => `${name}: ${detail ?? "not well"}`).join("; "),
        { members: { ready: false, checks } },
      );
    },
  });

  add({
    method: "GET",
    url: "/metrics",
    operationId: "getMetrics",
    tag: "system",
    summary: "Metrics in Prometheus text format",
    description: "Needs a viewer token unless `api.metricsPublic` is set.",
    scope: options.metricsPublic ? "public" : "viewer",
    success: { status: 200, description: "The metrics.", mediaType: "text/plain" },
    async handler(_request, reply) {
      const { contentType, body } = await context.metrics.expose();
      reply.type(contentType).send(body);
      return alreadySent;
    },
  });
  addDescriptions({ add, context });
}

function addDescriptions({ add, context }: Router): void {
  add({
    method: "GET",
    url: "/openapi.json",
    operationId: "getOpenapi",
    tag: "system",
    summary: "This document",
    scope: "public",
    success: {
      status: 200,
      description: "OpenAPI 3.1.",
      schema: Type.Record(Type.String(), Type.Unknown()),
    },
    further: [{ status: 304, description: "The client's copy is still right." }],
    problems: ["docs.missing"],
    async handler(request, reply) {
      const asset = await context.assets.openapi.read("openapi.json");
      if (asset === undefined) throw new ApiProblem("docs.missing");
      sendCacheable(request, reply, { ...asset, mediaType: "application/json; charset=utf-8" });
      return alreadySent;
    },
  });

  add({
    method: "GET",
    url: "/.well-known/api-catalog",
    operationId: "getApiCatalog",
    tag: "system",
    summary: "Where this API is described (RFC 9727)",
    scope: "public",
    success: {
      status: 200,
      description: "A linkset.",
      mediaType: "application/linkset+json",
      schema: apiCatalog,
    },
    handler(_request, reply) {
      reply.type(
        'application/linkset+json; profile="https://www.rfc-editor.org/info/rfc9727"; charset=utf-8',
      );
      reply.header("link", '</.well-known/api-catalog>; rel="api-catalog"');
      return {
        linkset: [
          {
            anchor: "/v1",
            "service-desc": [{ href: "/openapi.json", type: "application/json" }],
            "service-doc": [{ href: "/docs", type: "text/html" }],
            status: [{ href: "/readyz", type: "application/json" }],
          },
        ],
      };
    },
  });

  add({
    method: "GET",
    url: "/problems/:code",
    operationId: "getProblem",
    tag: "system",
    summary: "What a problem code means, and what to do about it",
    scope: "public",
    path: Type.Object({ code: Type.String({ maxLength: 100 }) }),
    success: { status: 200, description: "The explanation.", mediaType: "text/plain" },
    problems: ["route.not-found"],
    handler({ params: { code } }, reply) {
      if (!isProblemCode(code)) throw new ApiProblem("route.not-found");
      const { status, title, fix } = problemCatalogue[code];
      reply.type("text/plain; charset=utf-8").send(`${code} (${status})\n${title}.\n\n${fix}\n`);
      return alreadySent;
    },
  });
}
