import { randomBytes } from "node:crypto";
import type { IPublishPacket, Packet } from "mqtt-packet";
import { encodeMarksRequest, parseMarksAnswer } from "../../sync/marks-wire.ts";
import type {
  Marks,
  OutboundUpdate,
  SendOutcome,
  UplinkConnection,
  UplinkListener,
} from "../uplink-connection.ts";
import type { TlsFiles } from "../wire/dial.ts";
import { envelope } from "./envelope.ts";
import type { Announcer } from "./home-assistant/announcer.ts";
import { InFlight } from "./in-flight.ts";
import { MqttSession } from "./mqtt-session.ts";
import { PublishEncoder } from "./publish-encoder.ts";
import { isPermanent, reasonText } from "./reason-codes.ts";

/** Settings of one MQTT uplink. */
export interface MqttUplinkOptions {
  readonly url: string;
  readonly agentId: string;
  readonly clientId: string;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly tls?: TlsFiles | undefined;
  /** `auto` tries 5 and falls back to 3.1.1 where the broker does not know it. */
  readonly protocol: "auto" | "5" | "3.1.1";
  /** Updates go to `{topicPrefix}/{agentId}/{topic}`. */
  readonly topicPrefix: string;
  /** Id and sequence: `auto` as user properties with 5, in a JSON envelope with 3.1.1. */
  readonly envelope: "auto" | "none" | "json";
  readonly keepaliveSeconds: number;
  readonly connectTimeoutMs: number;
  readonly inFlightMax: number;
  /** Whether there may be a receiver behind the broker that answers questions for marks. */
  readonly sync: "auto" | "off";
  /** Retained state that the broker publishes when it loses us (LWT). */
  readonly will: Uint8Array;
  /** Tells Home Assistant what goes out here. */
  readonly announcer?: Announcer | undefined;
}

const QOS = 1;
const ACKNOWLEDGED: SendOutcome = { kind: "acknowledged" };
/** A receiver that is there answers sooner; a broker without one never does. */
const MARKS_TIMEOUT_MS = 3_000;
/** Commands of this name are answers to questions for marks. */
const MARKS_TOPIC = "marks";
const IDS = 65_535;
/** The largest remaining length there is, and its header (MQTT 5 section 1.5.5). */
const PACKET_BYTES_MAX = 268_435_455 + 5;

/**
 * An MQTT 5 or 3.1.1 broker as a road out. QoS 1; the window is the smaller of our own and the broker's
 * Receive Maximum (MQTT 5 section 4.9), and a packet identifier is used again only after its PUBACK.
 */
export class MqttUplink implements UplinkConnection {
  readonly #options: MqttUplinkOptions;
  readonly #inFlight = new InFlight<(outcome: SendOutcome) => void>();
  #session: MqttSession | undefined;
  #listener: UplinkListener | undefined;
  #version: 4 | 5;
  #encoder: PublishEncoder;
  #enveloped: boolean;
  #packetBytesMax = PACKET_BYTES_MAX;
  #pastBytes = 0;
  #marksAsked:
    | {
        readonly replyTo: string;
        readonly settle: (marks: Marks | undefined) => void;
        readonly timer: NodeJS.Timeout;
      }
    | undefined;
  readonly askMarks?: NonNullable<UplinkConnection["askMarks"]>;
  readonly tellFirst?: NonNullable<UplinkConnection["tellFirst"]>;
  /** A failed start is told in a later turn, like every other failure. */
  #generation = 0;

  constructor(options: MqttUplinkOptions) {
    this.#options = options;
    this.#version = options.protocol === "3.1.1" ? 4 : 5;
    this.#encoder = this.#newEncoder();
    this.#enveloped = this.#wantsEnvelope();
    if (options.sync === "off") return;
    this.askMarks = (streams, settle) => this.#askMarks(streams, settle);
    this.tellFirst = (firsts) => this.#sendQuestion(firsts);
  }

  get wireBytes(): number {
    return this.#pastBytes + (this.#session?.wireBytes ?? 0);
  }

  connect(listener: UplinkListener): void {
    this.#listener = listener;
    this.#open(listener, ++this.#generation);
  }

  send(update: OutboundUpdate, settle: (outcome: SendOutcome) => void): void {
    const session = this.#session;
    if (session === undefined) return;
    // Entities of others are theirs to announce.
    if (update.agentId === this.#options.agentId) this.#options.announcer?.saw(update);
    const messageId = this.#inFlight.nextId();
    const packet = this.#enveloped
      ? this.#encoder.encode(update, messageId, envelope(update), "application/json")
      : this.#encoder.encode(update, messageId);
    if (packet.bytes > this.#packetBytesMax) {
      this.#tooLarge(packet.bytes, session, settle);
      return;
    }
    this.#inFlight.add(messageId, settle);
    session.sendEncoded(packet);
  }

  /** Sending it would cost the connection, again and again (MQTT 5 section 3.2.2.3.6). */
  #tooLarge(bytes: number, session: MqttSession, settle: (outcome: SendOutcome) => void): void {
    const reason = `a packet of ${bytes} bytes is over the broker's maximum (${this.#packetBytesMax})`;
    queueMicrotask(() => {
      if (session === this.#session) settle({ kind: "refused", permanent: true, reason });
    });
  }

  publishState(state: Uint8Array): void {
    this.#session?.send({
      cmd: "publish",
      topic: this.#topic("$state"),
      payload: Buffer.from(state),
      qos: 0,
      dup: false,
      retain: true,
    });
  }

  async disconnect(): Promise<void> {
    this.#generation++;
    const session = this.#session;
    this.#forget();
    await session?.end();
  }

  #forget(): void {
    this.#pastBytes = this.wireBytes;
    clearTimeout(this.#marksAsked?.timer);
    this.#marksAsked = undefined;
    this.#session = undefined;
    this.#inFlight.clear();
    this.#options.announcer?.disconnected();
  }

  #open(listener: UplinkListener, generation: number): void {
    const options = this.#options;
    const down = (reason: string, refusedVersion: boolean): void => {
      if (generation !== this.#generation) return;
      this.#forget();
      if (refusedVersion && options.protocol === "auto" && this.#version === 5) {
        this.#version = 4;
        this.#encoder = this.#newEncoder();
        this.#enveloped = this.#wantsEnvelope();
        this.#open(listener, generation);
        return;
      }
      listener.down(reason);
    };
    try {
      this.#session = new MqttSession(
        {
          url: options.url,
          clientId: options.clientId,
          protocolVersion: this.#version,
          // What is unacknowledged lies in the outbox; a session on the broker would only repeat it.
          clean: true,
          keepaliveSeconds: options.keepaliveSeconds,
          connectTimeoutMs: options.connectTimeoutMs,
          username: options.username,
          password: options.password,
          tls: options.tls,
          will: {
            topic: this.#topic("$state"),
            payload: Buffer.from(options.will),
            qos: QOS,
            retain: true,
          },
        },
        {
          connected: ({ properties }) => {
            if (generation !== this.#generation) return;
            this.#packetBytesMax = properties?.maximumPacketSize ?? PACKET_BYTES_MAX;
            this.#subscribeToCommands();
            this.#announce();
            listener.up({
              inFlightMax: Math.min(options.inFlightMax, properties?.receiveMaximum ?? IDS),
            });
          },
          packet: (packet) => {
            if (generation === this.#generation) this.#receive(packet);
          },
          puback: (messageId, reasonCode) => {
            if (generation === this.#generation) this.#settle(messageId, reasonCode);
          },
          closed: down,
        },
      );
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      queueMicrotask(() => down(reason, false));
    }
  }

  #receive(packet: Packet): void {
    if (packet.cmd === "puback")
      this.#settle(packet.messageId ?? 0, packet.reasonCode ?? 0, packet.properties?.reasonString);
    else if (packet.cmd === "publish") this.#takeCommand(packet);
  }

  #settle(messageId: number, reasonCode: number, reasonString?: string): void {
    const settle = this.#inFlight.take(messageId);
    if (settle === undefined) return;
    // 0x10 is "no matching subscribers": the broker has taken it all the same.
    if (reasonCode < 128) settle(ACKNOWLEDGED);
    else
      settle({
        kind: "refused",
        permanent: isPermanent(reasonCode),
        reason: reasonText(reasonCode, reasonString),
      });
  }

  #announce(): void {
    this.#options.announcer?.connected({
      topicPrefix: this.#topic(""),
      enveloped: this.#enveloped,
      publishRetained: ({ topic, payload }) =>
        this.#session?.send({ cmd: "publish", topic, payload, qos: 0, dup: false, retain: true }),
    });
  }

  #takeCommand({ topic, payload, qos, messageId }: IPublishPacket): void {
    const { announcer } = this.#options;
    if (topic === announcer?.statusTopic) announcer?.heard(Buffer.from(payload));
    const prefix = this.#topic("$command/");
    if (topic === `${prefix}${MARKS_TOPIC}` && this.askMarks !== undefined)
      this.#takeAnswer(Buffer.from(payload).toString("utf8"));
    else if (topic.startsWith(prefix))
      this.#listener?.command(topic.slice(prefix.length), Buffer.from(payload));
    if (qos === 1 && messageId !== undefined) this.#session?.send({ cmd: "puback", messageId });
  }

  /** Asks on `{prefix}/{agentId}/$sync/marks`; the answer comes as a command. */
  #askMarks(streams: readonly string[], settle: (marks: Marks | undefined) => void): void {
    if (this.#session === undefined) return;
    this.#answerMarks(undefined);
    const timer = setTimeout(() => this.#answerMarks(undefined), MARKS_TIMEOUT_MS);
    // An answer to a question of an earlier connection may still be on its way.
    const replyTo = randomBytes(6).toString("base64url");
    this.#marksAsked = { replyTo, settle, timer };
    this.#sendQuestion(new Map(streams.map((name) => [name, undefined])), replyTo);
  }

  #sendQuestion(streams: ReadonlyMap<string, number | undefined>, replyTo = "none"): void {
    const question = encodeMarksRequest({ agent: this.#options.agentId, streams, replyTo });
    const payload = Buffer.from(question);
    const topic = this.#topic("$sync/marks");
    // A packet over the broker's maximum would cost the connection.
    if (payload.length + 4 * topic.length + 16 > this.#packetBytesMax) return;
    this.#session?.send({
      cmd: "publish",
      topic,
      payload,
      qos: 0,
      dup: false,
      retain: false,
    });
  }

  #takeAnswer(text: string): void {
    try {
      const { marks, replyTo } = parseMarksAnswer(text);
      if (replyTo === undefined || replyTo === this.#marksAsked?.replyTo) this.#answerMarks(marks);
    } catch {
      // Then everything is sent.
      this.#answerMarks(undefined);
    }
  }

  #answerMarks(marks: Marks | undefined): void {
    const asked = this.#marksAsked;
    this.#marksAsked = undefined;
    clearTimeout(asked?.timer);
    asked?.settle(marks);
  }

  #subscribeToCommands(): void {
    const topics = [this.#topic("$command/#"), this.#options.announcer?.statusTopic];
    this.#session?.send({
      cmd: "subscribe",
      messageId: this.#inFlight.nextId(),
      subscriptions: topics.flatMap((topic) => (topic === undefined ? [] : { topic, qos: QOS })),
    });
  }

  #newEncoder(): PublishEncoder {
    return new PublishEncoder(this.#version, this.#options.topicPrefix);
  }

  #wantsEnvelope(): boolean {
    const { envelope: wanted } = this.#options;
    return wanted === "json" || (wanted === "auto" && this.#version === 4);
  }

  #topic(rest: string): string {
    return `${this.#options.topicPrefix}/${this.#options.agentId}/${rest}`;
  }
}
