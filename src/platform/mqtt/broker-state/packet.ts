import type { UserProperties } from "mqtt-packet";

/** MQTT 5 properties of a message, those that travel with it. */
export interface MessageProperties {
  messageExpiryInterval?: number;
  willDelayInterval?: number;
  correlationData?: Buffer;
  userProperties?: UserProperties;
  [name: string]: unknown;
}

/** A message as Aedes hands it about. */
export interface Message {
  cmd?: string;
  topic: string;
  payload: Buffer | string;
  qos: number;
  retain: boolean;
  dup?: boolean;
  messageId?: number | undefined;
  brokerId?: string;
  brokerCounter?: number;
  clientId?: string;
  properties?: MessageProperties;
  /** When it expires, by Aedes' reckoning: milliseconds since 1970. */
  messageExpiry?: number;
}

/** What is kept beside a message and is no part of it. */
export type Notes = Readonly<Record<string, unknown>>;

const VERSION = 1;
const HEADER_BYTES = 5;

/**
 * Bytes of a message: version, length of the header, header as JSON, payload.
 * @param notes whatever the keeper wants to find again beside it
 */
export function encodeMessage(message: Message, notes: Notes = {}): Buffer {
  const { topic, qos, retain, properties } = message;
  const header = Buffer.from(
    JSON.stringify({
      ...notes,
      topic,
      qos,
      retain,
      ...(typeof message.payload === "string" ? { text: true } : {}),
      ...(properties === undefined ? {} : { properties: withoutBuffers(properties) }),
    }),
  );
  const prefix = Buffer.alloc(HEADER_BYTES);
  prefix.writeUInt8(VERSION, 0);
  prefix.writeUInt32BE(header.length, 1);
  return Buffer.concat([prefix, header, Buffer.from(message.payload)]);
}

/** @returns the message and the notes, or undefined when the bytes are no message. */
export function decodeMessage(bytes: Uint8Array): { message: Message; notes: Notes } | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.length < HEADER_BYTES || buffer[0] !== VERSION) return undefined;
  const end = HEADER_BYTES + buffer.readUInt32BE(1);
  const header = parseObject(buffer.subarray(HEADER_BYTES, end));
  if (header === undefined || end > buffer.length) return undefined;
  const { topic, qos, retain, text, properties, ...notes } = header;
  const payload = buffer.subarray(end);
  if (typeof topic !== "string" || (qos !== 0 && qos !== 1 && qos !== 2)) return undefined;
  return {
    message: {
      cmd: "publish",
      topic,
      qos,
      retain: retain === true,
      dup: false,
      payload: text === true ? payload.toString("utf8") : payload,
      ...(isObject(properties) ? { properties: withBuffers(properties) } : {}),
    },
    notes,
  };
}

/** @returns the JSON object in these bytes, or undefined when there is none. */
export function parseObject(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString("utf8"));
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function withoutBuffers({ correlationData, ...rest }: MessageProperties): object {
  return correlationData === undefined
    ? rest
    : { ...rest, correlationDataBase64: correlationData.toString("base64") };
}

function withBuffers(stored: Record<string, unknown>): MessageProperties {
  const { correlationDataBase64, ...rest } = stored;
  return typeof correlationDataBase64 === "string"
    ? { ...rest, correlationData: Buffer.from(correlationDataBase64, "base64") }
    : rest;
}
