import { sendCacheable } from "../cacheable.ts";
import { alreadySent, type Router } from "../route.ts";
import { config, configSchema } from "../schemas/system.ts";

/** How the agent is set up. */
export function addConfig({ add, context }: Router): void {
  const documents = [
    {
      url: "/v1/config",
      operationId: "getConfig",
      summary: "The configuration in force, secrets redacted",
      schema: config,
      read: () => context.effectiveConfig(),
    },
    {
      url: "/v1/config/schema",
      operationId: "getConfigSchema",
      summary: "JSON Schema of the configuration",
      schema: configSchema,
      read: () => context.configSchema,
    },
  ];
  for (const { url, operationId, summary, schema, read } of documents) {
    add({
      method: "GET",
      url,
      operationId,
      tag: "config",
      summary,
      scope: "operator",
      headers: { "If-None-Match": "Entity tag of the copy that the client has." },
      success: {
        status: 200,
        description: "The document.",
        schema,
        headers: { ETag: "Changes whenever the document does." },
      },
      further: [{ status: 304, description: "The client's copy is still right." }],
      handler(request, reply) {
        const body = JSON.stringify(read());
        const etag = `"${context.hasher.sha256Hex(body).slice(0, 32)}"`;
        sendCacheable(request, reply, { body, etag, mediaType: "application/json; charset=utf-8" });
        return alreadySent;
      },
    });
  }
}
