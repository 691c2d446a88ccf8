import type { FastifyInstance, FastifyReply, FastifyRequest, FastifySchema } from "fastify";
import type { Static, TSchema } from "typebox";
import * as Type from "typebox";
import type { Scope, TokenInfo } from "../access/tokens.ts";
import { authorize } from "./authorize.ts";
import type { ApiContext } from "./context.ts";
import { Idempotency } from "./idempotency.ts";
import { type ProblemCode, problemCatalogue } from "./problem-catalogue.ts";
import { type Body, named } from "./schemas/common.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** The token that the request came with; null on public routes. */
    caller: TokenInfo | null;
  }
}

/** An answer as the OpenAPI document tells it. */
interface AnswerSpec {
  readonly status: number;
  readonly description: string;
  readonly mediaType?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** One operation: what it takes, what it answers, and the code that does it. */
export interface RouteSpec<
  Query extends TSchema,
  Path extends TSchema,
  RequestBody extends TSchema,
  Success extends TSchema,
> {
  readonly method: "GET" | "POST" | "DELETE";
  readonly url: string;
  readonly operationId: string;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  /** Least scope that may call it. */
  readonly scope: Scope | "public";
  readonly query?: Query;
  readonly path?: Path;
  readonly body?: RequestBody;
  /** Request headers, for the document only: name and meaning. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly success: AnswerSpec & { readonly schema?: Success; readonly example?: unknown };
  /** Further answers that are no problems, or problems with members of their own. */
  readonly further?: readonly (AnswerSpec & { readonly schema?: TSchema })[];
  /** Problems beyond those that every such route has. */
  readonly problems?: readonly ProblemCode[];
  /** True when the answer carries a secret, which must not be kept for repetitions of the request. */
  readonly secret?: boolean;
  readonly handler: (
    request: FastifyRequest<{
      Querystring: Static<Query>;
      Params: Static<Path>;
      Body: Static<RequestBody>;
    }>,
    reply: FastifyReply,
  ) => Outcome<Success> | Promise<Outcome<Success>>;
}

/** Marks an answer as sent already, for those that are no JSON document or are streamed. */
export const alreadySent = { sent: true } as const;

type Outcome<Success extends TSchema> = Body<Success> | typeof alreadySent;

/** Where resources register their operations. */
export interface Router {
  readonly context: ApiContext;
  readonly add: <
    Query extends TSchema = TSchema,
    Path extends TSchema = TSchema,
    RequestBody extends TSchema = TSchema,
    Success extends TSchema = TSchema,
  >(
    spec: RouteSpec<Query, Path, RequestBody, Success>,
  ) => void;
}

/**
 * @param documented true when the answers' schemas shall be part of the routes, for the OpenAPI document;
 * the running agent leaves them out, since nothing would read them
 */
export function createRouter(
  app: FastifyInstance,
  context: ApiContext,
  documented: boolean,
): Router {
  const idempotency = new Idempotency(context);
  return {
    context,
    add(spec) {
      const run = (request: FastifyRequest, reply: FastifyReply) => {
        reply.code(spec.success.status);
        return spec.handler(request as Parameters<typeof spec.handler>[0], reply);
      };
      const handle =
        spec.method === "POST"
          ? (request: FastifyRequest, reply: FastifyReply) =>
              idempotency.run(request, reply, spec.secret === true, async () => run(request, reply))
          : run;
      app.route({
        method: spec.method,
        url: spec.url,
        schema: {
          ...(spec.query === undefined ? {} : { querystring: spec.query }),
          ...(spec.path === undefined ? {} : { params: spec.path }),
          ...(spec.body === undefined ? {} : { body: spec.body }),
          ...(documented ? documentation(spec) : {}),
        },
        ...(spec.scope === "public" ? {} : { onRequest: authorize(context.tokens, spec.scope) }),
        handler: (request, reply) => {
          const send = (outcome: unknown) => {
            if (outcome !== alreadySent) reply.send(outcome);
          };
          const outcome: unknown = handle(request, reply);
          // Answers that are known at once are sent at once: a promise for each costs measurable throughput.
          if (outcome instanceof Promise) outcome.then(send, (error) => reply.send(error));
          else send(outcome);
        },
      });
    },
  };
}

type AnySpec = Omit<RouteSpec<TSchema, TSchema, TSchema, TSchema>, "handler">;

function documentation(spec: AnySpec): FastifySchema {
  const headers = {
    ...spec.headers,
    ...(spec.method === "POST"
      ? {
          "Idempotency-Key":
            "Chosen by the client, new for every new request: a repetition with the same key is answered as the first was, without doing it again. Kept for 24 hours.",
        }
      : {}),
  };
  return {
    operationId: spec.operationId,
    tags: [spec.tag],
    summary: spec.summary,
    ...(spec.description === undefined ? {} : { description: spec.description }),
    security: spec.scope === "public" ? [] : [{ bearer: [spec.scope] }],
    ...(Object.keys(headers).length === 0
      ? {}
      : {
          headers: Type.Object(
            Object.fromEntries(
              Object.entries(headers).map(([name, description]) => [
                name,
                Type.Optional(Type.String({ description })),
              ]),
            ),
          ),
        }),
    response: Object.fromEntries([
      ...[spec.success, ...(spec.further ?? [])].map((answer) => [
        answer.status,
        answerSchema(answer),
      ]),
      ...problemAnswers(spec),
    ]),
  } as FastifySchema;
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
  const codes = new Set<ProblemCode>(["request.malformed", "internal.failed"]);
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
