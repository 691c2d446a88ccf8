import { isUtf8 } from "node:buffer";
import mqttPacket, { type IPublishPacket } from "mqtt-packet";

/** A PUBLISH as it came from a client. */
export interface DecodedPublish {
  readonly topic: string;
  /** 0 with QoS 0. */
  readonly messageId: number;
  /** Points into the buffer that was read. */
  readonly payload: Buffer;
  readonly properties?: IPublishPacket["properties"];
}

/** Why a PUBLISH ends its connection, with MQTT 5's reason code (section 2.4). */
export class MalformedPublish extends Error {
  readonly reasonCode: number;

  constructor(reasonCode: number, message: string) {
    super(message);
    this.name = "MalformedPublish";
    this.reasonCode = reasonCode;
  }
}

const MALFORMED_PACKET = 0x81;
const PROTOCOL_ERROR = 0x82;
const TOPIC_NAME_INVALID = 0x90;
/** As much as the broker's routing takes. */
const TOPIC_LEVELS_MAX = 100;
const NUL = 0;
const HASH = 0x23;
const PLUS = 0x2b;
const SLASH = 0x2f;

/**
 * Reads the PUBLISH packets of one client (MQTT 5 section 3.3). Most of them have no properties and the topic of
 * the one before; what else there is goes through mqtt-packet's parser.
 */
export class PublishDecoder {
  readonly #version: number;
  #topic = "";
  #topicBytes: Buffer = Buffer.alloc(0);

  constructor(version: number) {
    this.#version = version;
  }

  /** @throws MalformedPublish when the connection has to end */
  decode(data: Buffer, start: number, body: number, end: number): DecodedPublish {
    const qos = ((data[start] ?? 0) >> 1) & 3;
    if (body + 2 > end) throw truncated();
    const topicAt = body + 2;
    const topicEnd = topicAt + data.readUInt16BE(body);
    const idEnd = topicEnd + (qos === 0 ? 0 : 2);
    if (idEnd > end) throw truncated();
    const topic = this.#topicOf(data, topicAt, topicEnd);
    const messageId = qos === 0 ? 0 : data.readUInt16BE(topicEnd);
    if (qos !== 0 && messageId === 0)
      throw new MalformedPublish(PROTOCOL_ERROR, "packet identifier 0 with QoS 1 or 2");
    if (this.#version !== 5) {
      if (topic === "") throw emptyTopic();
      return { topic, messageId, payload: data.subarray(idEnd, end) };
    }
    if (data[idEnd] === 0 && idEnd < end) {
      if (topic === "") throw emptyTopic();
      return { topic, messageId, payload: data.subarray(idEnd + 1, end) };
    }
    return { ...withProperties(data.subarray(start, end)), topic, messageId };
  }

  #topicOf(data: Buffer, at: number, end: number): string {
    const known = this.#topicBytes;
    if (end - at === known.length && startsWith(data, at, known)) return this.#topic;
    const bytes = data.subarray(at, end);
    checkTopic(bytes);
    this.#topic = bytes.toString("utf8");
    this.#topicBytes = Buffer.from(bytes);
    return this.#topic;
  }
}

function startsWith(data: Buffer, at: number, bytes: Buffer): boolean {
  for (let n = 0; n < bytes.length; n++) if (data[at + n] !== bytes[n]) return false;
  return true;
}

function checkTopic(bytes: Buffer): void {
  if (!isUtf8(bytes)) throw new MalformedPublish(MALFORMED_PACKET, "the topic is not UTF-8");
  let levels = 1;
  for (const byte of bytes) {
    if (byte === NUL)
      throw new MalformedPublish(MALFORMED_PACKET, "the topic has a null character");
    if (byte === HASH || byte === PLUS)
      throw new MalformedPublish(TOPIC_NAME_INVALID, "a topic to publish to has no wildcards");
    if (byte === SLASH) levels++;
  }
  if (levels > TOPIC_LEVELS_MAX)
    throw new MalformedPublish(
      TOPIC_NAME_INVALID,
      `the topic has more than ${TOPIC_LEVELS_MAX} levels`,
    );
}

function withProperties(
  packet: Buffer,
): Pick<DecodedPublish, "payload"> & { properties: IPublishPacket["properties"] } {
  let found: IPublishPacket | undefined;
  let fault: Error | undefined;
  const parser = mqttPacket.parser({ protocolVersion: 5 });
  parser.on("packet", (packet) => {
    found = packet as IPublishPacket;
  });
  parser.on("error", (error: Error) => {
    fault = error;
  });
  try {
    parser.parse(packet);
  } catch (error) {
    fault = error instanceof Error ? error : new Error(String(error));
  }
  if (found === undefined || fault !== undefined)
    throw new MalformedPublish(MALFORMED_PACKET, fault?.message ?? "malformed properties");
  const { payload, properties } = found;
  if (properties?.subscriptionIdentifier !== undefined)
    throw new MalformedPublish(PROTOCOL_ERROR, "a client sends no subscription identifier");
  if (/[#+]/.test(properties?.responseTopic ?? ""))
    throw new MalformedPublish(PROTOCOL_ERROR, "a response topic has no wildcards");
  return { payload: payload as Buffer, properties };
}

function truncated(): MalformedPublish {
  return new MalformedPublish(MALFORMED_PACKET, "the packet is shorter than its fields");
}

function emptyTopic(): MalformedPublish {
  return new MalformedPublish(TOPIC_NAME_INVALID, "the topic is empty");
}
