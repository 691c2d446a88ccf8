import type { IPublishPacket, Packet } from "mqtt-packet";
import type { Broker, BrokerStatus, InboundHandler } from "../broker.ts";
import type { Logger } from "../logger.ts";
import type { TlsFiles } from "../wire/dial.ts";
import { MqttSession } from "./mqtt-session.ts";

/** Settings for taking readings from a broker that is already on the device. */
export interface ClientBrokerOptions {
  readonly url: string;
  readonly clientId: string;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly tls?: TlsFiles | undefined;
  readonly protocol: "5" | "3.1.1";
  /** Topic filters to subscribe to. */
  readonly filters: readonly string[];
  /** The setting that they come from, for the log. */
  readonly filtersSetting?: string;
  readonly keepaliveSeconds: number;
  readonly connectTimeoutMs: number;
  /** Messages that the broker may send ahead of our acknowledgement. */
  readonly receiveMaximum: number;
  readonly sessionExpirySeconds: number;
  /** Delay before attempt `n` (from 1), in milliseconds. */
  readonly backoffMs: (attempt: number) => number;
  readonly logger: Logger;
}

/**
 * A client of an existing broker. Its session there is persistent, so what is published while the agent is
 * away waits; PUBACK and PUBREC go out after the handler settled. What the handler refuses stays
 * unacknowledged: the connection is dropped, and the broker sends it again on the next one.
 */
export class ClientBroker implements Broker {
  readonly #options: ClientBrokerOptions;
  #handler: InboundHandler | undefined;
  #session: MqttSession | undefined;
  #retry: NodeJS.Timeout | undefined;
  #attempt = 0;
  #connected = false;
  #reason = "not started";
  #stopped = false;
  #settling = 0;
  #receivedBytes = 0;
  #idle: (() => void) | undefined;
  /** QoS 2 messages between PUBREC and PUBREL: a repeat of one of these is no new message. */
  readonly #received = new Set<number>();

  constructor(options: ClientBrokerOptions) {
    this.#options = options;
  }

  start(handler: InboundHandler): Promise<void> {
    this.#handler = handler;
    this.#connect();
    // The broker may come up later than we do: an outage at start is like any other.
    return Promise.resolve();
  }

  publish(message: Parameters<Broker["publish"]>[0]): Promise<void> {
    if (this.#session === undefined || !this.#connected)
      return Promise.reject(new Error(`not connected to ${this.#options.url}: ${this.#reason}`));
    const { topic, payload, retain } = message;
    this.#session.send({
      cmd: "publish",
      topic,
      payload: Buffer.from(payload),
      qos: 0,
      retain,
      dup: false,
    });
    return Promise.resolve();
  }

  status(): BrokerStatus {
    return {
      kind: "client",
      connected: this.#connected,
      url: this.#options.url,
      ...(this.#connected ? {} : { reason: this.#reason }),
      receivedBytes: this.#receivedBytes + (this.#session?.receivedBytes ?? 0),
    };
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#retry);
    if (this.#settling > 0)
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
    await this.#session?.end();
    this.#session = undefined;
    this.#connected = false;
    this.#reason = "stopped";
  }

  #connect(): void {
    const options = this.#options;
    const version = options.protocol === "5" ? 5 : 4;
    try {
      this.#session = new MqttSession(
        {
          ...options,
          protocolVersion: version,
          clean: false,
          properties: {
            sessionExpiryInterval: options.sessionExpirySeconds,
            receiveMaximum: options.receiveMaximum,
          },
        },
        {
          connected: ({ sessionPresent }) => this.#up(sessionPresent),
          packet: (packet) => this.#receive(packet),
          closed: (reason) => this.#down(reason),
        },
      );
    } catch (error) {
      this.#down(error instanceof Error ? error.message : String(error));
    }
  }

  #up(sessionPresent: boolean): void {
    if (!sessionPresent) this.#received.clear();
    if (this.#options.filters.length === 0) {
      this.#ready();
      return;
    }
    // Old retained values are not news (rh 2); with 3.1.1 they come marked, and are passed over below.
    const subscriptions = this.#options.filters.map((topic) => ({ topic, qos: 2 as const, rh: 2 }));
    this.#session?.send({ cmd: "subscribe", messageId: 1, subscriptions });
  }

  /** Readings come from here on: before SUBACK the broker may still pass them by. */
  #ready(): void {
    this.#attempt = 0;
    this.#connected = true;
    this.#options.logger.info("connected to the MQTT broker", { url: this.#options.url });
  }

  #down(reason: string): void {
    this.#receivedBytes += this.#session?.receivedBytes ?? 0;
    this.#session = undefined;
    this.#connected = false;
    this.#reason = reason;
    if (this.#stopped) return;
    const retryInMs = this.#options.backoffMs(++this.#attempt);
    const { url } = this.#options;
    this.#options.logger.warn("not connected to the MQTT broker", { url, reason, retryInMs });
    this.#retry = setTimeout(() => this.#connect(), retryInMs);
  }

  #receive(packet: Packet): void {
    const { messageId } = packet;
    if (packet.cmd === "publish") this.#take(packet);
    else if (packet.cmd === "pubrel" && messageId !== undefined) {
      this.#received.delete(messageId);
      this.#session?.send({ cmd: "pubcomp", messageId });
    } else if (packet.cmd === "suback") {
      this.#checkGranted(packet.granted);
      this.#ready();
    }
  }

  #take(packet: IPublishPacket): void {
    const session = this.#session;
    // Stopping: what is not acknowledged is sent again when we are back.
    if (this.#stopped) return;
    const { messageId = 0, qos, retain } = packet;
    if (retain || (qos === 2 && this.#received.has(messageId))) {
      this.#acknowledge(session, qos, messageId);
      return;
    }
    this.#settling++;
    this.#handler?.(
      {
        topic: packet.topic,
        payload: packet.payload as Buffer,
        qos,
        retain,
        clientId: "",
        ...(packet.properties?.contentType === undefined
          ? {}
          : { contentType: packet.properties.contentType }),
        ...userPropertiesOf(packet),
      },
      (refusal) => {
        this.#settling--;
        if (refusal === undefined) {
          if (qos === 2) this.#received.add(messageId);
          this.#acknowledge(session, qos, messageId);
        } else if (session === this.#session && session !== undefined) {
          void session.end();
          this.#down(`reading refused, so not acknowledged: ${refusal.message}`);
        }
        if (this.#settling === 0) this.#idle?.();
      },
    );
  }

  #acknowledge(session: MqttSession | undefined, qos: 0 | 1 | 2, messageId: number): void {
    // An acknowledgement belongs to the connection that the message came over.
    if (qos === 0 || session !== this.#session) return;
    session?.send({ cmd: qos === 1 ? "puback" : "pubrec", messageId });
  }

  #checkGranted(granted: readonly unknown[]): void {
    granted.forEach((code, at) => {
      if (typeof code === "number" && code >= 128)
        this.#options.logger.error("the MQTT broker refused a subscription", {
          filter: this.#options.filters[at],
          setting: this.#options.filtersSetting ?? "mqtt.topics",
          code,
        });
    });
  }
}

function userPropertiesOf({
  properties,
}: IPublishPacket): Pick<Parameters<InboundHandler>[0], "userProperties"> {
  if (properties?.userProperties === undefined) return {};
  const all = Object.entries(properties.userProperties).map(([name, value]) => [
    name,
    Array.isArray(value) ? (value[0] ?? "") : value,
  ]);
  return { userProperties: Object.fromEntries(all) as Record<string, string> };
}
