/**
 * Writes openapi/openapi.json from the routes' own schemas, and docs/errors.md from the problem catalogue.
 * With --check it writes nothing, and exits 1 when either is not what it would write.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import swagger from "@fastify/swagger";
import type { FastifyInstance } from "fastify";
import manifest from "../package.json" with { type: "json" };
import type { ApiContext } from "../src/api/context.ts";
import { describeOperation } from "../src/api/describe-operation.ts";
import { problemCatalogue } from "../src/api/problem-catalogue.ts";
import { componentSchemas } from "../src/api/schemas/components.ts";
import { buildApp } from "../src/api/server.ts";
import { markdownTable } from "./markdown-table.ts";

const tags = {
  system: "Liveness, readiness, metrics, and the description of this interface.",
  device: "What the device is and how it is.",
  readings: "What comes in.",
  queue: "What is written down and waits to leave.",
  uplinks: "The roads out.",
  mesh: "Links to other agents.",
  fleet: "All agents that this one knows.",
  roles: "Who leads, who checks, who aggregates and who trains.",
  consensus: "What the committee of the fleet agrees on.",
  learning: "What the fleet learns.",
  tasks: "What agents do for each other.",
  trails: "What agents tell each other by deposits that evaporate.",
  bridge: "The way to a cluster.",
  config: "How the agent is set up.",
  tokens: "Who may do what.",
  events: "What happens, as it happens.",
};

const description = `REST interface of one agent. Paths under \`/v1\` need a bearer token; each operation names the least scope
(viewer, operator, admin) that may call it. Errors are problem documents (RFC 9457) with a stable \`code\`; what
each means is told at \`/problems/{code}\`. Lists come in pages: pass \`nextCursor\` back as \`cursor\`. A POST that
carries an \`Idempotency-Key\` may be repeated safely. Times are milliseconds since 1970-01-01T00:00:00Z.`;

/** @returns the OpenAPI document of the routes as they are now */
export async function openapiDocument(): Promise<Record<string, unknown>> {
  // No handler runs here, so no route looks at its context.
  const context = {} as ApiContext;
  const options = {
    host: "127.0.0.1",
    port: 0,
    bodyBytesMax: 65_536,
    connectionsMax: 4,
    eventListenersMax: 1,
    metricsPublic: false,
  };
  const { app } = await buildApp(context, options, { collect, describe: describeOperation });
  await app.ready();
  const document = app.swagger() as unknown as Record<string, unknown>;
  await app.close();
  return document;
}

async function collect(app: FastifyInstance): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "Agent Mesh",
        version: manifest.version,
        description,
        license: { name: "All rights reserved", identifier: "LicenseRef-Proprietary" } as never,
      },
      servers: [{ url: "/", description: "This agent." }],
      tags: Object.entries(tags).map(([name, description]) => ({ name, description })),
      components: {
        securitySchemes: {
          bearer: {
            type: "http",
            scheme: "bearer",
            description:
              "`am_…`; the first one is in `admin.token` in the data directory, more come from POST /v1/tokens.",
          },
        },
      },
    },
    refResolver: { buildLocalReference: ({ $id }) => (typeof $id === "string" ? $id : "unnamed") },
  });
  for (const schema of componentSchemas) app.addSchema(schema);
}

/** @returns docs/errors.md as it should be now */
export function errorsDocument(): string {
  const rows = Object.entries(problemCatalogue)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([code, { status, title, fix }]) => [`\`${code}\``, `${status}`, `${title}.`, fix]);
  return `# Errors

Every error of the REST interface is a problem document (RFC 9457, \`application/problem+json\`). Its \`code\` is
stable, so scripts may rely on it; \`detail\` says what was wrong this time and what to do about it, and \`errors\`
names each parameter that is wrong. The agent itself explains a code at \`/problems/{code}\`.

This file is generated from \`src/api/problem-catalogue.ts\` by \`npm run openapi\`.

${markdownTable(["Code", "Status", "Meaning", "What to do"], rows)}
`;
}

async function main(): Promise<void> {
  const files = {
    "openapi/openapi.json": `${JSON.stringify(await openapiDocument(), null, 2)}\n`,
    "docs/errors.md": errorsDocument(),
  };
  for (const [file, wanted] of Object.entries(files)) {
    const path = new URL(`../${file}`, import.meta.url).pathname;
    if (!process.argv.includes("--check")) {
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, wanted);
      continue;
    }
    const found = await readFile(path, "utf8").catch(() => "");
    if (found !== wanted) {
      console.error(`${file} is not in step with the code; run: npm run openapi`);
      process.exitCode = 1;
    }
  }
}

if (import.meta.main) await main();
