import * as Type from "typebox";
import { TokenError } from "../../access/tokens.ts";
import { pageOf, plainListQuery } from "../cursor.ts";
import { ApiProblem } from "../problem.ts";
import type { Router } from "../route.ts";
import { token, tokenCreated, tokenRequest, tokens } from "../schemas/tokens.ts";

const tokenPath = Type.Object({
  id: Type.String({ minLength: 1, maxLength: 64, description: "Id of the token." }),
});

/** Who may do what. */
export function addTokens({ add, context }: Router): void {
  add({
    method: "GET",
    url: "/v1/tokens",
    operationId: "listTokens",
    tag: "tokens",
    summary: "The tokens, without their secrets",
    scope: "admin",
    query: plainListQuery,
    success: { status: 200, description: "The tokens, oldest first.", schema: tokens },
    problems: ["request.cursor"],
    handler: ({ query }) => pageOf(context.tokens.seal, "tokens", context.tokens.list(), query),
  });

  add({
    method: "GET",
    url: "/v1/tokens/self",
    operationId: "getOwnToken",
    tag: "tokens",
    summary: "The token that this request came with",
    scope: "viewer",
    success: { status: 200, description: "The token, without its secret.", schema: token },
    handler({ caller }) {
      const own = caller === null ? undefined : context.tokens.find(caller.id);
      if (own === undefined) throw new ApiProblem("token.not-found");
      return own;
    },
    problems: ["token.not-found"],
  });

  add({
    method: "POST",
    url: "/v1/tokens",
    operationId: "createToken",
    tag: "tokens",
    summary: "Create a token; the only time that its secret is told",
    scope: "admin",
    body: tokenRequest,
    secret: true,
    success: {
      status: 201,
      description: "The new token.",
      schema: tokenCreated,
      headers: { Location: "Where the token is revoked." },
    },
    problems: ["token.too-many", "token.clock-untrusted"],
    async handler({ body }, reply) {
      const created = await context.tokens.create(body).catch(rethrow);
      reply.header("location", `/v1/tokens/${created.info.id}`);
      return { ...created.info, token: created.token };
    },
  });

  add({
    method: "DELETE",
    url: "/v1/tokens/:id",
    operationId: "revokeToken",
    tag: "tokens",
    summary: "Revoke a token",
    scope: "admin",
    path: tokenPath,
    success: { status: 204, description: "It is refused from now on." },
    problems: ["token.not-found", "token.last-admin", "store.full", "store.failed", "store.closed"],
    async handler({ params: { id } }) {
      if (!(await context.tokens.revoke(id).catch(rethrow))) {
        throw new ApiProblem(
          "token.not-found",
          `There is no token "${id}"; GET /v1/tokens lists them.`,
        );
      }
    },
  });
}

function rethrow(error: unknown): never {
  throw error instanceof TokenError ? new ApiProblem(error.code, error.message) : error;
}
