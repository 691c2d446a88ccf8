import type { FastifyRequest } from "fastify";
import type { ReceiverRole, ReceiverToken, ReceiverTokens } from "../access.ts";
import { ReceiverProblem } from "./problem.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** Who sends it; null where nobody was asked. */
    bearer: ReceiverToken | null;
  }
}

/** @returns a hook that lets through who holds a token of one of these roles; admins pass everywhere */
export function allow(tokens: ReceiverTokens, ...roles: readonly ReceiverRole[]) {
  return (request: FastifyRequest, _reply: unknown, done: (error?: Error) => void): void => {
    const [scheme = "", token = ""] = (request.headers.authorization ?? "").split(" ", 2);
    if (scheme.toLowerCase() !== "bearer" || token === "") {
      const detail = "Send the header Authorization: Bearer TOKEN.";
      done(new ReceiverProblem("auth.missing", detail, { "www-authenticate": "Bearer" }));
      return;
    }
    const bearer = tokens.authenticate(token);
    if (bearer === undefined) {
      const headers = { "www-authenticate": 'Bearer error="invalid_token"' };
      done(new ReceiverProblem("auth.unknown", "Nobody holds this token any more.", headers));
      return;
    }
    if (bearer.role !== "admin" && !roles.includes(bearer.role)) {
      const needed = [...roles, "admin"].join(" or ");
      done(
        new ReceiverProblem(
          "auth.role",
          `This needs a token of role ${needed}, not ${bearer.role}.`,
        ),
      );
      return;
    }
    request.bearer = bearer;
    done();
  };
}
