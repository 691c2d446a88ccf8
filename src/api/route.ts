import type { FastifyInstance, FastifyReply, FastifyRequest, FastifySchema } from "fastify";
import type { Static, TSchema } from "typebox";
import type { Scope, TokenInfo } from "../access/tokens.ts";
import { authorize } from "./authorize.ts";
import type { ApiContext } from "./context.ts";
import { Idempotency } from "./idempotency.ts";
import type { ProblemCode } from "./problem-catalogue.ts";
import type { Body } from "./schemas/common.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** The token that the request came with; null on public routes. */
    caller: TokenInfo | null;
  }
}

/** An answer as the OpenAPI document tells it. */
export interface AnswerSpec {
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
  /**
   * What the document tells of the body, by its `$id`, where whoever takes it finds better words for what is wrong with it
   * than a validator has: `body` is then looser.
   */
  readonly bodyInDocument?: TSchema;
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

/** What the OpenAPI document is made of: an operation without the code that does it. */
export type AnySpec = Omit<RouteSpec<TSchema, TSchema, TSchema, TSchema>, "handler">;

/**
 * Makes what routes are registered with: scope, limits and validation of each in one declaration.
 *
 * @param describe adds the answers' schemas to the routes, for the OpenAPI document; absent in the running
 * agent, where nothing would read them
 */
export function createRouter(
  app: FastifyInstance,
  context: ApiContext,
  describe: ((spec: AnySpec) => FastifySchema) | undefined,
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
          ...describe?.(spec),
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
