import type { onRequestHookHandler } from "fastify";
import { allows, type Scope, type TokenRefusal, type TokenStore } from "../access/tokens.ts";
import { ApiProblem } from "./problem.ts";
import type { ProblemCode } from "./problem-catalogue.ts";

const SCHEME = "Bearer ";

const refusals: Readonly<Record<TokenRefusal, ProblemCode>> = {
  "token.malformed": "auth.malformed",
  "token.unknown": "auth.unknown",
  "token.expired": "auth.expired",
  "token.clock-untrusted": "auth.clock-untrusted",
};

/** @returns a hook that lets through who holds a token of at least this scope (RFC 6750). */
export function authorize(tokens: TokenStore, scope: Scope): onRequestHookHandler {
  return (request, _reply, done) => {
    const { authorization } = request.headers;
    if (authorization === undefined) {
      done(refuse("auth.missing", 'Bearer realm="agent-mesh"'));
      return;
    }
    const bearer = authorization.slice(SCHEME.length);
    const isBearer = authorization.slice(0, SCHEME.length).toLowerCase() === "bearer ";
    const caller = isBearer ? tokens.authenticate(bearer) : "token.malformed";
    if (typeof caller === "string") {
      done(refuse(refusals[caller], 'Bearer realm="agent-mesh", error="invalid_token"'));
      return;
    }
    if (!allows(caller.scope, scope)) {
      const challenge = `Bearer realm="agent-mesh", error="insufficient_scope", scope="${scope}"`;
      const detail = `This needs a token of scope ${scope}; the token "${caller.name}" has scope ${caller.scope}.`;
      done(refuse("auth.scope", challenge, detail));
      return;
    }
    request.caller = caller;
    done();
  };
}

function refuse(code: ProblemCode, challenge: string, detail?: string): ApiProblem {
  return new ApiProblem(code, detail, { headers: { "www-authenticate": challenge } });
}
