import type { FastifySchema } from "fastify";
import type { TSchema } from "typebox";
import * as Type from "typebox";
import { type ProblemCode, problemCatalogue } from "./problem-catalogue.ts";
import type { AnswerSpec, AnySpec } from "./route.ts";
import { named } from "./schemas/common.ts";

const idempotencyKey = Type.Optional(
  Type.String({
    minLength: 1,
    maxLength: 255,
    // Printable ASCII; spaces at either end would not survive HTTP.
    pattern: "^[!-~]([ -~]*[!-~])?$",
    description:
      "Chosen by the client, new for every new request: a repetition with the same key is answered as the first was, without doing it again. Kept for 24 hours.",
  }),
);

/** @returns what the OpenAPI document tells of an operation; never used by the running agent */
export function describeOperation(spec: AnySpec): FastifySchema {
  const headers: Record<string, TSchema> = Object.fromEntries(
    Object.entries(spec.headers ?? {}).map(([name, description]) => [
      name,
      Type.Optional(Type.String({ description })),
    ]),
  );
  if (spec.method === "POST") headers["Idempotency-Key"] = idempotencyKey;
  return {
    operationId: spec.operationId,
    tags: [spec.tag],
    summary: spec.summary,
    ...(spec.description === undefined ? {} : { description: spec.description }),
    security: spec.scope === "public" ? [] : [{ bearer: [spec.scope] }],
    ...(Object.keys(headers).length === 0
      ? {}
      : {
          headers: Type.Object(headers),
        }),
    ...(spec.bodyInDocument === undefined ? {} : { body: named(spec.bodyInDocument) }),
    response: Object.fromEntries([
      ...[spec.success, ...(spec.further ?? [])].map((answer) => [
        answer.status,
        answerSchema(answer),
      ]),
      ...problemAnswers(spec),
    ]),
  };
}

function answerSchema(answer: AnswerSpec & { schema?: TSchema; example?: unknown }): object {
  const { description, headers, schema, example } = answer;
  return {
    description,
    ...(headers === undefined
      ? {}
      : {
          headers: Object.fromEntries(
            Object.entries(headers).map(([name, description]) => [
              name,
              { type: "string", description },
            ]),
          ),
        }),
    ...(schema === undefined && answer.mediaType === undefined
      ? { type: "null" }
      : {
          content: {
            [answer.mediaType ?? "application/json"]: {
              schema: schema === undefined ? { type: "string" } : referTo(schema),
              ...(example === undefined ? {} : { example }),
            },
          },
        }),
  };
}

function referTo(schema: TSchema): object {
  return "$id" in schema ? named(schema) : schema;
}

/** Problem answers by status, each naming its codes. */
function problemAnswers(spec: AnySpec): [number, object][] {
  const taken = new Set(spec.further?.map(({ status }) => status));
  const codes = new Set<ProblemCode>([
    "request.malformed",
    "request.headers-too-large",
    "internal.failed",
  ]);
  const add = (...more: readonly ProblemCode[]) => more.forEach((code) => codes.add(code));
  if (spec.query !== undefined || spec.path !== undefined || spec.body !== undefined) {
    add("request.invalid");
  }
  if (spec.scope !== "public") {
    add("auth.missing", "auth.malformed", "auth.unknown", "auth.expired", "auth.clock-untrusted");
    if (spec.scope !== "viewer") add("auth.scope");
  }
  if (spec.method !== "GET") add("request.too-large", "request.media-type");
  if (spec.method === "POST") {
    add("idempotency.key", "idempotency.in-progress", "idempotency.mismatch");
    add("store.full", "store.failed", "store.closed");
    if (spec.secret === true) add("idempotency.secret-not-kept");
  }
  add(...(spec.problems ?? []));
  const byStatus = Map.groupBy(codes, (code) => problemCatalogue[code].status);
  return [...byStatus]
    .filter(([status]) => !taken.has(status))
    .sort(([a], [b]) => a - b)
    .map(([status, list]) => [
      status,
      {
        description: [...list]
          .sort()
          .map((code) => `\`${code}\`: ${problemCatalogue[code].title}.`)
          .join("\n"),
        content: { "application/problem+json": { schema: { $ref: "Problem#" } } },
      },
    ]);
}
