import {
  AckPolicy,
  type Consumer,
  type JsMsg,
  jetstream,
  jetstreamManager,
} from "@nats-io/jetstream";
import { credsAuthenticator, type NatsConnection } from "@nats-io/nats-core";
import { connect } from "@nats-io/transport-node";
import type { Broker, BrokerStatus, InboundHandler } from "../broker.ts";
import type { Logger } from "../logger.ts";

/** How updates are read from a JetStream stream. */
export interface JetStreamBrokerOptions {
  /** `nats://host:port` or `tls://host:port`. */
  readonly url: string;
  /** Stream that agents publish to. It has to be there. */
  readonly stream: string;
  /** Updates are at `{subjectPrefix}.{agentId}.{topic with dots}`. */
  readonly subjectPrefix: string;
  /** Name of the durable consumer: whoever uses it goes on where it was left. */
  readonly consumer: string;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** Contents of a `.creds` file. */
  readonly credentials?: Uint8Array | undefined;
  /** Path of the authority (PEM) that signed the server's certificate. */
  readonly caFile?: string | undefined;
  readonly connectTimeoutMs: number;
  /** Messages that the server may send ahead of our acknowledgement. */
  readonly inFlightMax: number;
  /** Delay before attempt `n` (from 1), in milliseconds. */
  readonly backoffMs: (attempt: number) => number;
  readonly logger: Logger;
}

const REFUSED_AGAIN_MS = 1_000;
const SECOND_NS = 1_000_000_000;
const ACK_WAIT_NS = 60 * SECOND_NS;

/**
 * A JetStream stream as a broker: a durable consumer whose messages are acknowledged after the handler settled. What it
 * refuses is asked for again a little later. Headers come as user properties: `Nats-Msg-Id` as `id`, and an
 * `observed-at` of an untrusted clock with a question mark, as over MQTT.
 */
export class JetStreamBroker implements Broker {
  readonly #options: JetStreamBrokerOptions;
  #handler: InboundHandler | undefined;
  #connection: NatsConnection | undefined;
  #retry: NodeJS.Timeout | undefined;
  #attempt = 0;
  #connected = false;
  #reason = "not started";
  #stopped = false;
  #pastBytes = 0;
  #settling = 0;
  #idle: (() => void) | undefined;

  constructor(options: JetStreamBrokerOptions) {
    this.#options = options;
  }

  start(handler: InboundHandler): Promise<void> {
    this.#handler = handler;
    // The server may come up later than we do: an outage at start is like any other.
    void this.#live();
    return Promise.resolve();
  }

  publish({ topic, payload }: Parameters<Broker["publish"]>[0]): Promise<void> {
    if (this.#connection === undefined)
      return Promise.reject(new Error(`not connected to ${this.#options.url}: ${this.#reason}`));
    this.#connection.publish(topic.split("/").map(encodeToken).join("."), payload);
    return Promise.resolve();
  }

  status(): BrokerStatus {
    return {
      kind: "client",
      connected: this.#connected,
      url: this.#options.url,
      ...(this.#connected ? {} : { reason: this.#reason }),
      receivedBytes: this.#pastBytes + (this.#connection?.stats().inBytes ?? 0),
    };
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#retry);
    if (this.#settling > 0)
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
    const connection = this.#connection;
    // Acknowledgements on their way are sent; a server that is gone is not waited for.
    if (connection !== undefined && !connection.isClosed()) {
      const late = new Promise<void>((resolve) => {
        setTimeout(resolve, 1_000).unref();
      });
      await Promise.race([connection.flush().catch(() => undefined), late]);
      await connection.close();
    }
    this.#connected = false;
    this.#reason = "stopped";
  }

  /** One connection from its beginning to its end. */
  async #live(): Promise<void> {
    let reason = "connection closed by the server";
    try {
      const connection = await this.#open();
      this.#connection = connection;
      if (this.#stopped) await connection.close();
      else await this.#consume(connection);
    } catch (error) {
      reason = error instanceof Error ? error.message : String(error);
    }
    this.#down(reason);
  }

  async #open(): Promise<NatsConnection> {
    const { url, username, password, credentials, caFile, connectTimeoutMs } = this.#options;
    const secure = url.startsWith("tls:") || caFile !== undefined;
    return await connect({
      servers: [new URL(url).host],
      name: "agent-mesh receive",
      reconnect: false,
      timeout: connectTimeoutMs,
      pingInterval: 30_000,
      maxPingOut: 1,
      ...(secure ? { tls: caFile === undefined ? {} : { caFile } } : {}),
      ...(username === undefined ? {} : { user: username }),
      ...(password === undefined ? {} : { pass: password }),
      ...(credentials === undefined ? {} : { authenticator: credsAuthenticator(credentials) }),
    });
  }

  async #consume(connection: NatsConnection): Promise<void> {
    const { url, inFlightMax, logger } = this.#options;
    const consumer = await this.#consumer(connection);
    const messages = await consumer.consume({ max_messages: inFlightMax });
    void connection.closed().then(() => messages.stop());
    this.#attempt = 0;
    this.#connected = true;
    logger.info("connected to NATS", { url });
    for await (const message of messages) this.#take(message);
    if (!connection.isClosed()) throw new Error("the consumer was taken away");
  }

  async #consumer(connection: NatsConnection): Promise<Consumer> {
    const { stream, consumer, subjectPrefix, inFlightMax, connectTimeoutMs } = this.#options;
    try {
      const manager = await jetstreamManager(connection, {
        checkAPI: false,
        timeout: connectTimeoutMs,
      });
      await manager.consumers.add(stream, {
        durable_name: consumer,
        ack_policy: AckPolicy.Explicit,
        ack_wait: ACK_WAIT_NS,
        max_ack_pending: inFlightMax,
        filter_subject: `${subjectPrefix}.>`,
      });
      return await jetstream(connection).consumers.get(stream, consumer);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(
        `stream ${stream}: ${reason}; create it with the subject ${subjectPrefix}.>`,
        {
          cause: error,
        },
      );
    }
  }

  #take(message: JsMsg): void {
    // Stopping: what is not acknowledged is sent again when we are back.
    if (this.#stopped) return;
    const userProperties = propertiesOf(message);
    const contentType = userProperties["content-type"];
    this.#settling++;
    this.#handler?.(
      {
        topic: message.subject.split(".").map(decode).join("/"),
        payload: message.data,
        qos: 1,
        retain: false,
        clientId: "",
        ...(contentType === undefined ? {} : { contentType }),
        ...(userProperties["id"] === undefined ? {} : { userProperties }),
      },
      (refusal) => {
        this.#settling--;
        if (refusal === undefined) message.ack();
        else message.nak(REFUSED_AGAIN_MS);
        if (this.#settling === 0) this.#idle?.();
      },
    );
  }

  #down(reason: string): void {
    this.#pastBytes += this.#connection?.stats().inBytes ?? 0;
    this.#connection?.close().catch(() => undefined);
    this.#connection = undefined;
    this.#connected = false;
    if (this.#stopped) return;
    this.#reason = reason;
    const retryInMs = this.#options.backoffMs(++this.#attempt);
    const { url } = this.#options;
    this.#options.logger.warn("not connected to NATS", { url, reason, retryInMs });
    this.#retry = setTimeout(() => void this.#live(), retryInMs);
  }
}

function propertiesOf({ headers }: JsMsg): Record<string, string> {
  const properties: Record<string, string> = {};
  for (const name of headers?.keys() ?? [])
    properties[name === "Nats-Msg-Id" ? "id" : name] = decode(headers?.get(name) ?? "");
  if (properties["observed-at-trusted"] === "false") properties["observed-at"] += "?";
  return properties;
}

/** Publishers write what a subject or a header can not hold as `%` and its bytes in hexadecimal. */
function decode(text: string): string {
  if (!text.includes("%")) return text;
  try {
    return text === "%" ? "" : decodeURIComponent(text);
  } catch {
    return text;
  }
}

function encodeToken(token: string): string {
  return token.replaceAll(
    /[.*>%\s]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
  );
}
