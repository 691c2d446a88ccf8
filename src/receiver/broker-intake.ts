import type { Broker, InboundMessage, Refusal } from "../platform/broker.ts";
import type { Logger } from "../platform/logger.ts";
import { encodeMarksAnswer, parseMarksRequest, SyncFormatError } from "../sync/marks-wire.ts";
import { parseTimestamp } from "../sync/timestamp.ts";
import {
  contentOf,
  identityOf,
  isContentType,
  parseUpdateLine,
  UpdateLineError,
  type WireUpdate,
} from "../sync/update-line.ts";
import type { Receiver } from "./receiver.ts";

const PAYLOAD_BYTES_MAX = 16 * 1_024 * 1_024;
const SEQUENCE = /^[1-9]\d{0,15}$/;

/** What came in over a broker since the start. */
export interface BrokerIntakeStatus {
  readonly url: string;
  readonly connected: boolean;
  readonly reason?: string;
  readonly messages: number;
  /** Messages that are no updates, or were refused; they are acknowledged, since nobody could be told. */
  readonly unusable: number;
  readonly marksAsked: number;
  readonly bytesReceived: number;
}

/**
 * Takes updates from a broker that agents publish to, MQTT or NATS JetStream: `PREFIX/AGENT/TOPIC` with the user properties `id`,
 * `stream`, `sequence` and `observed-at` (MQTT 5), or with the JSON envelope as payload. A message is acknowledged when
 * its update is durable. `PREFIX/AGENT/$sync/marks` asks for marks; the answer goes to `PREFIX/AGENT/$command/marks`.
 */
export class BrokerIntake {
  readonly #broker: Broker;
  readonly #receiver: Receiver;
  readonly #logger: Logger;
  readonly #prefix: string;
  #messages = 0;
  #unusable = 0;
  #marksAsked = 0;

  constructor(parts: {
    readonly broker: Broker;
    readonly receiver: Receiver;
    readonly logger: Logger;
    readonly topicPrefix: string;
  }) {
    this.#broker = parts.broker;
    this.#receiver = parts.receiver;
    this.#logger = parts.logger;
    this.#prefix = `${parts.topicPrefix}/`;
  }

  /** @returns what to subscribe to under this prefix */
  static filters(topicPrefix: string): readonly string[] {
    return [`${topicPrefix}/+/#`];
  }

  start(): Promise<void> {
    return this.#broker.start((message, settle) => this.#receive(message, settle));
  }

  stop(): Promise<void> {
    return this.#broker.stop();
  }

  status(): BrokerIntakeStatus {
    const { url, connected, reason, receivedBytes = 0 } = this.#broker.status();
    return {
      url,
      connected,
      ...(reason === undefined ? {} : { reason }),
      messages: this.#messages,
      unusable: this.#unusable,
      marksAsked: this.#marksAsked,
      bytesReceived: receivedBytes,
    };
  }

  #receive(message: InboundMessage, settle: (refusal?: Refusal) => void): void {
    this.#messages++;
    const path = message.topic.startsWith(this.#prefix)
      ? message.topic.slice(this.#prefix.length)
      : "";
    const slash = path.indexOf("/");
    const agentId = path.slice(0, Math.max(0, slash));
    const topic = path.slice(slash + 1);
    if (topic === "$sync/marks") return this.#answer(agentId, message, settle);
    // State and commands are not for us.
    if (topic.startsWith("$")) return settle();
    try {
      const update = readMessage(message);
      if (update.agentId !== agentId)
        throw new UpdateLineError(`its id is of agent ${update.agentId}`, update.id);
      this.#receiver.offer(update, (outcome) => {
        if (outcome.kind !== "refused") return settle();
        if (!outcome.permanent && !outcome.code.startsWith("sync."))
          return settle({ code: outcome.code, message: outcome.reason });
        this.#pass(message, outcome.code, outcome.reason);
        settle();
      });
    } catch (error) {
      const code = error instanceof UpdateLineError ? error.code : "update.malformed";
      this.#pass(message, code, error instanceof Error ? error.message : String(error));
      settle();
    }
  }

  #answer(agentId: string, message: InboundMessage, settle: (refusal?: Refusal) => void): void {
    this.#marksAsked++;
    const work = async (): Promise<void> => {
      const request = parseMarksRequest(textOf(message));
      if (request.agent !== agentId)
        throw new SyncFormatError("sync.request-malformed", `it asks for agent ${request.agent}`);
      const answer = encodeMarksAnswer(await this.#receiver.marks(request));
      await this.#broker.publish({
        topic: `${this.#prefix}${agentId}/$command/marks`,
        payload: Buffer.from(answer),
        qos: 1,
        retain: false,
      });
    };
    // Whoever gets no answer asks again.
    work()
      .catch((error: unknown) => {
        const { code = "receiver.failed", message: reason } = error as Error & { code?: string };
        this.#pass(message, code, reason);
      })
      .finally(() => settle())
      .catch(() => undefined);
  }

  #pass({ topic }: InboundMessage, code: string, reason: string): void {
    this.#unusable++;
    this.#logger.warn("a message was acknowledged and not taken", {
      topic: topic.slice(0, 200),
      code,
      reason: reason.slice(0, 300),
    });
  }
}

/** @throws UpdateLineError */
function readMessage(message: InboundMessage): WireUpdate {
  if (message.payload.length > PAYLOAD_BYTES_MAX)
    throw new UpdateLineError(`a message of ${message.payload.length} bytes`);
  const { id, stream, sequence, key, "observed-at": observedAt } = message.userProperties ?? {};
  if (id === undefined) return parseUpdateLine(textOf(message));
  const envelope = enveloped(message, id);
  if (envelope !== undefined) return envelope;
  const identity = identityOf({
    id,
    stream,
    sequence: SEQUENCE.test(sequence ?? "") ? Number(sequence) : undefined,
  });
  const trusted = observedAt?.endsWith("?") === false;
  const observedAtMs = parseTimestamp((observedAt ?? "").replace(/\?$/, ""));
  if (observedAtMs === undefined)
    throw new UpdateLineError("observed-at has to be a time like 2026-11-22T16:32:14.781Z", id);
  const { payload, contentType = "application/octet-stream" } = message;
  if (!isContentType(contentType) || (key?.length ?? 0) > 1_024)
    throw new UpdateLineError("content type or key is too long", id);
  return {
    ...identity,
    observedAtMs,
    observedAtTrusted: trusted,
    contentType,
    ...(key === undefined ? {} : { key }),
    content: contentOf({ payload, contentType }),
  };
}

/** An agent may be set to send the envelope also where user properties would do. */
function enveloped(message: InboundMessage, id: string): WireUpdate | undefined {
  const start = `{"id":${JSON.stringify(id)},`;
  const { payload } = message;
  if (payload.length < start.length || payload[0] !== 0x7b) return undefined;
  if (!textOf({ payload: payload.subarray(0, Buffer.byteLength(start)) }).startsWith(start))
    return undefined;
  try {
    return parseUpdateLine(textOf(message));
  } catch {
    // It only looks like one: then it is what the sensor said.
    return undefined;
  }
}

function textOf({ payload }: Pick<InboundMessage, "payload">): string {
  return Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString("utf8");
}
