import type { Socket } from "node:net";
import type { Client } from "aedes";
import mqttPacket, { type IPubackPacket, type IPublishPacket, type Packet } from "mqtt-packet";
import type { InboundMessage, Refusal } from "../broker.ts";
import { type AedesClient, refreshKeepalive, wantsReasons } from "./aedes-internals.ts";
import { AedesLink } from "./aedes-link.ts";
import { OrderedAcks } from "./ordered-acks.ts";
import { OutboundWindow, RECEIVE_MAXIMUM_UNTOLD } from "./outbound-window.ts";
import { PacketReader } from "./packet-reader.ts";
import { MalformedPublish, PublishDecoder } from "./publish-decoder.ts";
import { refusalReason } from "./reason-codes.ts";
import { WriteBuffer } from "./write-buffer.ts";

/** A message on its way into the broker, with what local subscribers get beyond an {@link InboundMessage}. */
export interface ClientMessage extends InboundMessage {
  readonly properties?: IPublishPacket["properties"];
}

/** The broker, as one of its connections sees it. */
export interface ConnectionOwner {
  /** Lets Aedes have the connection. */
  attach(link: AedesLink): AedesClient;
  /** Settles once: the message was taken and delivered, or refused. */
  publish(
    client: Client,
    message: ClientMessage,
    settle: (refusal: Refusal | undefined) => void,
  ): void;
  /** A message with QoS 1 was refused; told once, until another is taken. */
  refused(client: Client, refusal: Refusal): void;
  /** Something ended the connection, or made a message go missing. */
  fault(client: Client, reason: string): void;
  /** A message was not sent: the client does not read, or can not take packets of that size. */
  undelivered(): void;
}

/** Bounds of one connection. */
export interface ConnectionLimits {
  readonly packetBytesMax: number;
  /** Messages of the client that are not settled; then its socket is not read. */
  readonly receiveMaximum: number;
  /** Bytes that wait for a client which reads too slowly. */
  readonly outboundBytesMax: number;
}

const CONNECT = 1;
const PUBLISH = 3;
const PUBACK = 4;
const PUBREC = 5;
const PUBREL = 6;
const PUBCOMP = 7;
const SUBSCRIBE = 8;
const SUBACK = 9;
const UNSUBSCRIBE = 10;
const UNSUBACK = 11;
const ERRORS_FROM = 0x80;
const UNSPECIFIED_ERROR = 0x80;
const RECEIVE_MAXIMUM_EXCEEDED = 0x93;
const PACKET_TOO_LARGE = 0x95;
const MALFORMED_PACKET = 0x81;
const QUOTA_EXCEEDED = 0x97;
/** Without reason code, which is short for success in MQTT 5 as well. */
const SUCCESSFUL_PUBACK = 0x4002_0000;
const CHUNK_BYTES = 16 * 1_024;
const LINGER_MS = 1_000;
const SLOW_SUBSCRIBER =
  "does not read what it subscribed to; mqtt.broker.outboundBytesMax is what may wait for it";
/** Topic Alias as an MQTT 5 property: Aedes tells the client that it offers none. */
const hasAlias = (properties: IPublishPacket["properties"]): boolean =>
  properties?.topicAlias !== undefined;

/**
 * One client of the embedded broker. PUBLISH with QoS 0 and 1, which is what sensors send all day, is read,
 * handed on and acknowledged here; everything else is Aedes' business, in the order in which it came.
 */
export class ClientConnection {
  readonly socket: Socket;
  readonly #owner: ConnectionOwner;
  readonly #limits: ConnectionLimits;
  readonly #link: AedesLink;
  /** Aedes' half. */
  readonly client: AedesClient;
  readonly #reader: PacketReader;
  readonly #window: OutboundWindow;
  readonly #out: WriteBuffer;
  readonly #acks: OrderedAcks;
  /** QoS 2 messages between PUBLISH and PUBREL. */
  readonly #unreleased = new Set<number>();
  #decoder: PublishDecoder | undefined;
  /** Aedes has a packet whose effect those behind it may rely on. */
  #barriers = 0;
  #linkFull = false;
  #socketPaused = false;
  #closing = false;
  #ended = false;
  #refusing = false;
  #behind = false;

  constructor(socket: Socket, owner: ConnectionOwner, limits: ConnectionLimits) {
    this.socket = socket;
    this.#owner = owner;
    this.#limits = limits;
    this.#out = new WriteBuffer((chunk) => {
      if (socket.writable) socket.write(chunk);
    }, CHUNK_BYTES);
    this.#acks = new OrderedAcks((messageId, refusal) => this.#acknowledge(messageId, refusal));
    this.#window = new OutboundWindow({
      write: (frame) => this.#out.append(frame),
      skipped: (qos, messageId) => this.#skip(qos, messageId),
      drained: () => this.#link.emit("drain"),
    });
    this.#reader = new PacketReader(
      {
        isPaused: () => this.#paused,
        packet: (...where) => this.#packet(...where),
        unreadable: (why, bytes) => this.#unreadable(why, bytes),
      },
      limits.packetBytesMax,
    );
    this.#link = new AedesLink({
      outgoing: (frame) => this.#outgoing(frame),
      wanted: () => {
        this.#linkFull = false;
        this.#goOn();
      },
      ended: () => this.#end(),
    });
    this.client = owner.attach(this.#link);
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
    socket.on("drain", () => {
      this.#behind = false;
      this.#link.emit("drain");
    });
    socket.on("error", (error) => this.#link.destroy(error));
    socket.on("close", () => this.#link.destroy());
  }

  get #paused(): boolean {
    return (
      this.#closing ||
      this.#linkFull ||
      this.#barriers > 0 ||
      this.#acks.pending >= this.#limits.receiveMaximum
    );
  }

  #take(chunk: Buffer): void {
    this.#reader.push(chunk);
    // Aedes does this for the packets that it sees.
    if (this.#decoder !== undefined) refreshKeepalive(this.client);
    if (this.#paused && !this.#socketPaused && !this.#closing) {
      this.#socketPaused = true;
      this.socket.pause();
    }
  }

  #goOn(): void {
    if (!this.#socketPaused || this.#paused) return;
    this.#reader.resume();
    if (this.#paused) return;
    this.#socketPaused = false;
    this.socket.resume();
  }

  #packet(data: Buffer, start: number, body: number, end: number): void {
    const head = data[start] ?? 0;
    const type = head >> 4;
    const qos = (head >> 1) & 3;
    if (type === PUBLISH && qos < 2 && this.#decoder !== undefined) {
      this.#publish(this.#decoder, data, start, body, end);
      return;
    }
    if (type === PUBLISH && qos === 2 && !this.#admitQos2(data, body)) return;
    if (type === PUBREL && end - body >= 2) this.#unreleased.delete(data.readUInt16BE(body));
    if (type === PUBACK || type === PUBCOMP) this.#release(data, body, end);
    if (type === PUBREC && end - body > 2 && (data[body + 2] ?? 0) >= ERRORS_FROM)
      this.#release(data, body, end);
    if (type === SUBSCRIBE || type === UNSUBSCRIBE || type === CONNECT) this.#barriers++;
    this.#pass(data.subarray(start, end));
  }

  #pass(packet: Buffer): void {
    if (!this.#link.destroyed && !this.#link.push(packet)) this.#linkFull = true;
  }

  #publish(decoder: PublishDecoder, data: Buffer, start: number, body: number, end: number): void {
    const head = data[start] ?? 0;
    try {
      const publish = decoder.decode(data, start, body, end);
      const { topic, messageId, payload, properties } = publish;
      if (hasAlias(properties)) {
        this.#pass(data.subarray(start, end));
        return;
      }
      if (topic === "") throw new MalformedPublish(MALFORMED_PACKET, "the topic is empty");
      const qos = (head & 2) === 0 ? 0 : 1;
      const retain = (head & 1) === 1;
      const clientId = this.client.id;
      const plain: ClientMessage = { topic, payload, qos, retain, clientId };
      const message = properties === undefined ? plain : { ...plain, ...describe(properties) };
      const ticket = qos === 0 ? -1 : this.#acks.open(messageId);
      this.#owner.publish(this.client, message, (refusal) => {
        if (ticket !== -1) this.#acks.settle(ticket, refusal);
        this.#goOn();
      });
    } catch (error) {
      if (!(error instanceof MalformedPublish)) throw error;
      this.#hangUp(error.reasonCode, error.message);
    }
  }

  #acknowledge(messageId: number, refusal: Refusal | undefined): void {
    if (this.#ended) return;
    if (refusal === undefined) {
      this.#refusing = false;
      this.#thank(messageId);
      return;
    }
    // Told once, until something is taken again: a full outbox would fill the log as well.
    if (!this.#refusing) this.#owner.refused(this.client, refusal);
    this.#refusing = true;
    if (this.client.version === 5) this.#refuse(messageId, refusal);
    // MQTT 3.1.1 can not say no. What no attempt will change is acknowledged and dropped, as Mosquitto does.
    else if (refusal.code.startsWith("mqtt.topic-")) this.#thank(messageId);
    // For everything else the connection ends, and the publisher keeps the message.
    else this.#link.destroy();
  }

  #thank(messageId: number): void {
    const at = this.#out.reserve(4);
    this.#out.buffer.writeUInt32BE(SUCCESSFUL_PUBACK + messageId, at);
  }

  #refuse(messageId: number, { code, message }: Refusal): void {
    const reasonString = `${code}: ${message}`;
    const properties = wantsReasons(this.client) ? { properties: { reasonString } } : {};
    const packet = { cmd: "puback", messageId, reasonCode: refusalReason(code), ...properties };
    this.#out.append(mqttPacket.generate(packet as IPubackPacket, { protocolVersion: 5 }));
  }

  /** @returns false when the client has more QoS 2 messages open than it was told it may. */
  #admitQos2(data: Buffer, body: number): boolean {
    const idAt = body + 2 + (body + 2 <= data.length ? data.readUInt16BE(body) : 0);
    if (idAt + 2 > data.length) return true;
    this.#unreleased.add(data.readUInt16BE(idAt));
    if (this.#unreleased.size <= this.#limits.receiveMaximum) return true;
    this.#hangUp(RECEIVE_MAXIMUM_EXCEEDED, "more QoS 2 messages than its receive maximum allows");
    return false;
  }

  #release(data: Buffer, body: number, end: number): void {
    if (end - body >= 2) this.#window.acknowledged(data.readUInt16BE(body));
  }

  /** CONNACK is sent: what the client may do, and what it asked for, is known. */
  admitted(): void {
    const { version, receiveMaximum, maximumPacketSize } = this.client;
    this.#decoder = new PublishDecoder(version);
    this.#window.limit({
      receiveMaximum: version === 5 ? receiveMaximum : RECEIVE_MAXIMUM_UNTOLD,
      packetBytesMax: maximumPacketSize ?? Number.POSITIVE_INFINITY,
    });
    // Aedes takes packets from the end of this turn on.
    queueMicrotask(() => this.#lift());
  }

  #lift(): void {
    this.#barriers = Math.max(0, this.#barriers - 1);
    this.#goOn();
  }

  #outgoing(frame: Buffer): boolean {
    const type = (frame[0] ?? 0) >> 4;
    if (type === PUBLISH && this.#isBehind(frame)) return true;
    this.#window.send(frame);
    // Not from within Aedes' own handling of the packet that is answered here.
    if (type === SUBACK || type === UNSUBACK) queueMicrotask(() => this.#lift());
    return this.#window.heldBytes === 0 && !this.socket.writableNeedDrain;
  }

  /** A client that does not read must not fill the agent's memory. */
  #isBehind(frame: Buffer): boolean {
    const waiting = this.#window.heldBytes + this.socket.writableLength;
    if (waiting + frame.length <= this.#limits.outboundBytesMax) return false;
    this.#owner.undelivered();
    // QoS 1 and 2 are not dropped one by one: a persistent session gets them when it comes back.
    if (((frame[0] ?? 0) & 6) !== 0) this.#hangUp(QUOTA_EXCEEDED, SLOW_SUBSCRIBER);
    else if (!this.#behind) this.#owner.fault(this.client, SLOW_SUBSCRIBER);
    this.#behind = true;
    return true;
  }

  #skip(qos: number, messageId: number): void {
    this.#owner.undelivered();
    if (qos === 0) return;
    // Aedes hears what ends the exchange, and forgets the message.
    const answer: Packet =
      qos === 1
        ? { cmd: "puback", messageId }
        : { cmd: "pubrec", messageId, reasonCode: UNSPECIFIED_ERROR };
    setImmediate(() => this.#pass(mqttPacket.generate(answer, { protocolVersion: 5 })));
  }

  #unreadable(why: "malformed" | "too-large", bytes: number): void {
    if (why === "too-large") this.#hangUp(PACKET_TOO_LARGE, `packet too large: ${bytes} bytes`);
    else this.#hangUp(MALFORMED_PACKET, "malformed packet length");
  }

  #hangUp(reasonCode: number, reason: string): void {
    if (this.#closing) return;
    this.#owner.fault(this.client, reason);
    this.#stopReading();
    if (this.client.connected) {
      this.client.disconnect({ reasonCode });
      return;
    }
    // CONNACK is out, but Aedes is still at what waited for the client: it would end the connection without a word.
    if (this.#decoder !== undefined && this.client.version === 5)
      this.#out.append(
        mqttPacket.generate({ cmd: "disconnect", reasonCode }, { protocolVersion: 5 }),
      );
    this.#link.destroy();
  }

  #stopReading(): void {
    this.#closing = true;
    this.socket.removeAllListeners("data");
    this.socket.resume();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#out.flush();
    this.#stopReading();
    if (this.socket.destroyed) return;
    // What was said last has to arrive: closing at once, with bytes of the client unread, would take it back.
    this.socket.end();
    setTimeout(() => this.socket.destroy(), LINGER_MS).unref();
  }
}

function describe(properties: NonNullable<IPublishPacket["properties"]>): Partial<ClientMessage> {
  const { contentType } = properties;
  return contentType === undefined ? { properties } : { properties, contentType };
}
