import type { FastifyInstance, FastifyRequest } from "fastify";
import { encodeMarksAnswer, parseMarksRequest } from "../../sync/marks-wire.ts";
import type { TakeResult } from "../take.ts";
import { allow } from "./allow.ts";
import { linesOf, readText } from "./body.ts";
import type { ReceiverHttpParts } from "./parts.ts";
import { isReceiverProblemCode, notNow, ReceiverProblem } from "./problem.ts";

const LINE_TYPES = /^application\/(?:x-)?(?:ndjson|jsonlines|json-lines)\s*(?:;|$)/i;
const JSON_TYPE = /^application\/json\s*(?:;|$)/i;
/** RFC draft-ietf-httpapi-idempotency-key-header: a text; we bound its length. */
const IDEMPOTENCY_KEY_MAX = 255;

/** Adds what agents call: handing in updates, and asking what there is. */
export function addTaking(app: FastifyInstance, { receiver, tokens }: ReceiverHttpParts): void {
  const onRequest = allow(tokens, "agent", "relay");

  app.post("/v1/updates", { onRequest }, async (request, reply) => {
    const { "idempotency-key": key } = request.headers;
    if (key !== undefined && (Array.isArray(key) || key.length > IDEMPOTENCY_KEY_MAX))
      throw new ReceiverProblem(
        "request.malformed",
        `Idempotency-Key has to be one text of at most ${IDEMPOTENCY_KEY_MAX} characters.`,
      );
    const text = await textOf(request, LINE_TYPES, "application/x-ndjson");
    const result = await receiver.take(linesOf(text), request.bearer?.agent);
    refuseWhole(result);
    return reply.send(result);
  });

  app.post("/v1/updates/marks", { onRequest }, async (request, reply) => {
    const question = parseMarksRequest(await textOf(request, JSON_TYPE, "application/json"));
    const own = request.bearer?.agent;
    if (own !== undefined && own !== question.agent)
      throw new ReceiverProblem("auth.role", `The token is for agent ${own} alone.`);
    const marks = await receiver.marks(question);
    // An agent that relays for others has to know whether their updates would be taken.
    const accepts = [...(marks.accepts ?? []), ...(own === undefined ? ["relay"] : [])];
    const answer = encodeMarksAnswer({ ...marks, accepts });
    return reply.type("application/json; charset=utf-8").send(answer);
  });
}

async function textOf(request: FastifyRequest, type: RegExp, wanted: string): Promise<string> {
  const { "content-type": given = "", "content-encoding": encoding } = request.headers;
  if (!type.test(given))
    throw new ReceiverProblem("request.media-type", `Send it as Content-Type: ${wanted}.`);
  const body = request.body instanceof Buffer ? request.body : Buffer.alloc(0);
  return await readText(body, encoding);
}

/** When the receiver itself can not take anything now, that is an answer to the request, not to its updates. */
function refuseWhole({ accepted, duplicates, refused }: TakeResult): void {
  const [first] = refused;
  if (accepted + duplicates > 0 || first === undefined) return;
  if (refused.some(({ permanent, code }) => permanent || code.startsWith("sync."))) return;
  throw notNow(isReceiverProblemCode(first.code) ? first.code : "store.failed", first.reason);
}
