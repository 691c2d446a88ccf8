import type { FastifyReply } from "fastify";

const titles = {
  "auth.missing": [401, "A token is needed"],
  "auth.unknown": [401, "The token is not known"],
  "auth.role": [403, "The token does not allow this"],
  "internal.failed": [500, "Something went wrong"],
  "receiver.busy": [503, "Too much is waiting"],
  "receiver.failed": [503, "The receiver can not take updates now"],
  "receiver.stopping": [503, "The receiver is about to stop"],
  "request.encoding": [415, "The content encoding can not be read"],
  "request.malformed": [400, "The request is malformed"],
  "request.media-type": [415, "The media type is not taken"],
  "request.timeout": [408, "The request took too long"],
  "request.too-large": [413, "The request is too large"],
  "route.not-found": [404, "Nothing is here"],
  "agent.not-found": [404, "The agent is not known"],
  "token.not-found": [404, "There is no such token"],
  "store.failed": [503, "The store can not be used"],
  "sync.request-malformed": [400, "The question is malformed"],
  "token.invalid": [400, "The token can not be made"],
  "token.too-many": [409, "There are too many tokens"],
  "update.malformed": [400, "A line can not be read"],
} as const satisfies Readonly<Record<string, readonly [status: number, title: string]>>;

/** Stable codes of the receiver's problems. */
export type ReceiverProblemCode = keyof typeof titles;

/** An answer that says what went wrong (RFC 9457). Handlers throw it. */
export class ReceiverProblem extends Error {
  override readonly name = "ReceiverProblem";
  readonly code: ReceiverProblemCode;
  readonly headers: Readonly<Record<string, string>>;

  /** @param detail what is wrong and what to do about it */
  constructor(
    code: ReceiverProblemCode,
    detail: string,
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(detail);
    this.code = code;
    this.headers = headers;
  }
}

/** Seconds after which a sender that was turned away may come again. */
const RETRY_AFTER = { "retry-after": "1" };

/** @returns the problem that sending the same again in a while may not meet */
export function notNow(code: ReceiverProblemCode, detail: string): ReceiverProblem {
  return new ReceiverProblem(code, detail, RETRY_AFTER);
}

/** @returns whether the code is one of those above */
export function isReceiverProblemCode(code: unknown): code is ReceiverProblemCode {
  return typeof code === "string" && Object.hasOwn(titles, code);
}

/** Answers with the problem as `application/problem+json`. */
export function sendReceiverProblem(reply: FastifyReply, problem: ReceiverProblem): FastifyReply {
  const [status, title] = titles[problem.code];
  return reply
    .code(status)
    .headers(problem.headers)
    .type("application/problem+json; charset=utf-8")
    .send(
      JSON.stringify({
        type: `/problems/${problem.code}`,
        title,
        status,
        code: problem.code,
        detail: problem.message,
      }),
    );
}
