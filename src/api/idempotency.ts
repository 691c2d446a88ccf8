import type { FastifyReply, FastifyRequest } from "fastify";
import type { TokenInfo } from "../access/tokens.ts";
import type { ApiContext } from "./context.ts";
import { ApiProblem } from "./problem.ts";

const PREFIX = "i/";
const PREFIX_END = "i0";
const KEPT_MAX = 1_000;
const KEPT_MS = 24 * 60 * 60 * 1_000;

/** What was answered to a request with a key. */
interface Answer {
  /** Digest of who asked for what. */
  readonly fingerprint: string;
  readonly atMs: number;
  readonly bootId: string;
  readonly monotonicMs: number;
  /** Absent for answers that are never kept, since they carry a secret. */
  readonly response?: {
    readonly status: number;
    readonly location?: string;
    readonly body?: unknown;
  };
}

/**
 * Answers a repeated POST as it was answered the first time (draft-ietf-httpapi-idempotency-key-header),
 * across restarts, for 24 hours and at most 1,000 keys. Only success is kept: what failed may be tried again.
 */
export class Idempotency {
  readonly #context: ApiContext;
  #answers: Promise<Map<string, Answer>> | undefined;
  readonly #inProgress = new Set<string>();

  constructor(context: ApiContext) {
    this.#context = context;
  }

  /**
   * Runs `work` once per key and caller.
   * @param secret true when the answer must not be kept; a repetition is then refused
   * @throws ApiProblem `idempotency.*` @throws StoreError
   */
  async run(
    request: FastifyRequest & { caller: TokenInfo | null },
    reply: FastifyReply,
    secret: boolean,
    work: () => Promise<unknown>,
  ): Promise<unknown> {
    const key = keyOf(request.headers["idempotency-key"]);
    if (key === undefined) return work();
    const { hasher } = this.#context;
    const caller = request.caller?.id ?? "";
    const id = PREFIX + hasher.sha256Hex(`${caller}\n${key}`);
    const fingerprint = hasher.sha256Hex(
      `${request.method} ${request.url}\n${JSON.stringify(request.body ?? null)}`,
    );
    // Before anything is awaited, so that of two requests at once the second one sees the first.
    if (this.#inProgress.has(id)) throw new ApiProblem("idempotency.in-progress");
    this.#inProgress.add(id);
    try {
      const answers = await (this.#answers ??= this.#load());
      const earlier = answers.get(id);
      if (earlier !== undefined && this.#ageMs(earlier) < KEPT_MS) {
        return replay(earlier, fingerprint, reply);
      }
      // The key of a secret is written first: after a crash in between, no second one may be created.
      if (secret) await this.#keep(answers, id, this.#answer(fingerprint));
      let body: unknown;
      try {
        body = await work();
      } catch (error) {
        if (secret) await this.#forget(answers, [id]);
        throw error;
      }
      if (!secret) {
        const location = reply.getHeader("location");
        const response = {
          status: reply.statusCode,
          ...(typeof location === "string" ? { location } : {}),
          ...(body === undefined ? {} : { body }),
        };
        await this.#keep(answers, id, { ...this.#answer(fingerprint), response });
      }
      return body;
    } finally {
      this.#inProgress.delete(id);
    }
  }

  #answer(fingerprint: string): Answer {
    const { clock } = this.#context;
    return {
      fingerprint,
      atMs: clock.wallMs(),
      bootId: clock.bootId,
      monotonicMs: clock.monotonicMs(),
    };
  }

  /** By the steady clock within a boot; across boots by the wall clock, where both can be believed. */
  #ageMs(answer: Answer): number {
    const { clock } = this.#context;
    if (answer.bootId === clock.bootId) return clock.monotonicMs() - answer.monotonicMs;
    return clock.wallTrusted() ? Math.max(0, clock.wallMs() - answer.atMs) : 0;
  }

  async #load(): Promise<Map<string, Answer>> {
    try {
      const entries = await this.#context.store.range({
        gte: PREFIX,
        lt: PREFIX_END,
        limit: KEPT_MAX,
      });
      const answers = entries.flatMap(([key, value]): [string, Answer][] => {
        const answer = decode(value);
        return answer === undefined ? [] : [[key, answer]];
      });
      return new Map(answers.sort(([, a], [, b]) => a.atMs - b.atMs));
    } catch (error) {
      this.#answers = undefined;
      throw error;
    }
  }

  async #keep(answers: Map<string, Answer>, id: string, answer: Answer): Promise<void> {
    const old = [...answers]
      .filter(([, kept], index) => index <= answers.size - KEPT_MAX || this.#ageMs(kept) >= KEPT_MS)
      .map(([key]) => key);
    await this.#forget(answers, old);
    const value = Buffer.from(JSON.stringify(answer));
    await this.#context.store.write([{ type: "put", key: id, value }], { durable: true });
    answers.delete(id);
    answers.set(id, answer);
  }

  async #forget(answers: Map<string, Answer>, ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    await this.#context.store.write(
      ids.map((key) => ({ type: "del", key })),
      { durable: false },
    );
    for (const id of ids) answers.delete(id);
  }
}

function keyOf(header: string | readonly string[] | undefined): string | undefined {
  if (header === undefined) return undefined;
  if (typeof header !== "string") throw new ApiProblem("idempotency.key");
  // The draft makes it a quoted string; most clients send it bare.
  const key = /^"(.*)"$/.exec(header)?.[1] ?? header;
  if (!/^[\x20-\x7e]{1,255}$/.test(key)) throw new ApiProblem("idempotency.key");
  return key;
}

function replay(earlier: Answer, fingerprint: string, reply: FastifyReply): unknown {
  if (earlier.fingerprint !== fingerprint) throw new ApiProblem("idempotency.mismatch");
  if (earlier.response === undefined) throw new ApiProblem("idempotency.secret-not-kept");
  const { status, location, body } = earlier.response;
  reply.code(status).header("idempotent-replayed", "true");
  if (location !== undefined) reply.header("location", location);
  return body;
}

function decode(value: Uint8Array): Answer | undefined {
  try {
    const answer = JSON.parse(Buffer.from(value).toString("utf8")) as Answer;
    return typeof answer.fingerprint === "string" && typeof answer.atMs === "number"
      ? answer
      : undefined;
  } catch {
    return undefined;
  }
}
