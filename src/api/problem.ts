import type { FastifyReply } from "fastify";
import { type ProblemCode, problemCatalogue } from "./problem-catalogue.ts";

/** One parameter that is wrong. */
export interface ParameterFault {
  /** Where it stands: `query.limit`, `body.name`, … */
  readonly parameter: string;
  readonly detail: string;
}

/** An answer that says what went wrong (RFC 9457). Handlers throw it. */
export class ApiProblem extends Error {
  override readonly name = "ApiProblem";
  readonly code: ProblemCode;
  readonly headers: Readonly<Record<string, string>>;
  /** Further members of the document. */
  readonly members: Readonly<Record<string, unknown>>;

  /** @param detail what is wrong and what to do about it; the catalogue's fix where absent */
  constructor(
    code: ProblemCode,
    detail?: string,
    extras: {
      headers?: Readonly<Record<string, string>>;
      members?: Readonly<Record<string, unknown>>;
    } = {},
  ) {
    super(detail ?? problemCatalogue[code].fix);
    this.code = code;
    this.headers = extras.headers ?? {};
    this.members = extras.members ?? {};
  }
}

/** Media type of RFC 9457. */
export const problemMediaType = "application/problem+json; charset=utf-8";

/** @returns the problem as its JSON document. */
export function problemDocument(problem: ApiProblem, path?: string): string {
  const { status, title } = problemCatalogue[problem.code];
  return JSON.stringify({
    type: `/problems/${problem.code}`,
    title,
    status,
    code: problem.code,
    detail: problem.message,
    ...(path === undefined ? {} : { instance: path }),
    ...problem.members,
  });
}

/** Answers with the problem. */
export function sendProblem(reply: FastifyReply, problem: ApiProblem, path: string): FastifyReply {
  return reply
    .code(problemCatalogue[problem.code].status)
    .headers(problem.headers)
    .type(problemMediaType)
    .send(problemDocument(problem, path));
}

/** @returns the path of a URL without its query, cut at 200 characters. */
export function pathOf(url: string): string {
  const end = url.indexOf("?");
  return (end < 0 ? url : url.slice(0, end)).slice(0, 200);
}
