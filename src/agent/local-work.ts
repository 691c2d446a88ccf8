import type { Answer, Handler, WorkOffer } from "../coordination/tasks/workshop.ts";
import type { MeshNode } from "../mesh/node.ts";
import type { Broker } from "../platform/broker.ts";
import type { Logger } from "../platform/logger.ts";
import { NetworkError } from "../platform/network.ts";

const DESCRIBE_TIMEOUT_MS = 10_000;
/** Longest document that a program answers with, in bytes: an output as JSON, and what stands around it. */
const ANSWER_BYTES_MAX = 131_072;
const RESULT = "/result";

/** Performs a task that this agent offers to the mesh by its name. */
export function namedTaskHandler(node: Pick<MeshNode, "id" | "callTask">, name: string): Handler {
  return {
    timeoutMs: 2 * DESCRIBE_TIMEOUT_MS,
    begin({ input }, answer) {
      const timeoutMs = DESCRIBE_TIMEOUT_MS;
      node.callTask(node.id, name, Buffer.from(input), { timeoutMs }).then(
        (bytes) => answer({ kind: "done", output: Buffer.from(bytes).toString("utf8") }),
        (error: unknown) =>
          answer({
            kind: "failed",
            reason: error instanceof NetworkError ? (error.refusal ?? error.code) : "failed",
          }),
      );
      return false;
    },
  };
}

/**
 * Offers work to programs on this device: over MQTT under `agent-mesh/{agentId}/$tasks/{kind}/{id}`, where they may answer
 * under `…/result`, and to those that ask over REST.
 */
export class LocalWork {
  readonly #prefix: string;
  readonly #broker: Pick<Broker, "publish">;
  readonly #logger: Logger;
  readonly #answer: (id: string, answer: Answer) => boolean;

  constructor(parts: {
    readonly agentId: string;
    readonly broker: Pick<Broker, "publish">;
    readonly logger: Logger;
    /** Takes what a program says. @returns false where no such work waits for one */
    answer(id: string, answer: Answer): boolean;
  }) {
    this.#prefix = `agent-mesh/${parts.agentId}/$tasks/`;
    this.#broker = parts.broker;
    this.#logger = parts.logger;
    this.#answer = (id, answer) => parts.answer(id, answer);
  }

  handler(timeoutMs: number): Handler {
    return {
      timeoutMs,
      begin: (offer) => {
        this.#publish(offer);
        return true;
      },
    };
  }

  /** Takes a message of the broker. @returns whether it was an answer, and so nobody else's business */
  take(topic: string, payload: Uint8Array): boolean {
    if (!topic.startsWith(this.#prefix) || !topic.endsWith(RESULT)) return false;
    const [, id, ...rest] = topic.slice(this.#prefix.length, -RESULT.length).split("/");
    const answer = answerOf(payload);
    if (id === undefined || rest.length > 0 || answer === undefined)
      this.#logger.warn("an answer to a task can not be read", { topic, bytes: payload.length });
    else if (!this.#answer(id, answer))
      this.#logger.info("an answer came to a task that does not wait for one", { topic });
    return true;
  }

  #publish({ id, kind, input, from }: WorkOffer): void {
    // What was said as JSON is not read here, and goes on as it is.
    const payload = Buffer.from(
      `{"id":"${id}","kind":"${kind}","from":"${from}","input":${input}}`,
    );
    this.#broker
      .publish({ topic: `${this.#prefix}${kind}/${id}`, payload, qos: 1, retain: false })
      .catch((error: unknown) =>
        this.#logger.warn("a task was not published; programs still find it over REST", { error }),
      );
  }
}

/** `{"output": …}`, `{"failure": "why"}` or `{"progress": 0 … 100}`; undefined for anything else. */
function answerOf(payload: Uint8Array): Answer | undefined {
  if (payload.length > ANSWER_BYTES_MAX) return undefined;
  let document: unknown;
  try {
    document = JSON.parse(Buffer.from(payload).toString("utf8"));
  } catch {
    // Programs may publish anything.
    return undefined;
  }
  if (typeof document !== "object" || document === null) return undefined;
  if ("output" in document) return { kind: "done", output: JSON.stringify(document.output) };
  if ("failure" in document && typeof document.failure === "string")
    return { kind: "failed", reason: document.failure.slice(0, 256) };
  if (!("progress" in document) || typeof document.progress !== "number") return undefined;
  const percent = document.progress;
  return percent >= 0 && percent <= 100 ? { kind: "progress", percent } : undefined;
}
