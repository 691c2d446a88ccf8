import type { OutboundUpdate } from "../uplink-connection.ts";

/**
 * The update as JSON, for receivers that can't read MQTT 5 user properties:
 * `{id, stream, sequence, observedAt, observedAtTrusted, contentType, payload | payloadBase64}`, where
 * `payload` is the parsed JSON or the text, and `payloadBase64` stands for anything else.
 */
export function envelope(update: OutboundUpdate): Buffer {
  const { id, stream, sequence, contentType, observedAtTrusted } = update;
  return Buffer.from(
    JSON.stringify({
      id,
      stream,
      sequence,
      observedAt: new Date(update.observedAtMs).toISOString(),
      observedAtTrusted,
      contentType,
      ...payloadOf(update),
    }),
  );
}

function payloadOf({ payload, contentType }: OutboundUpdate): object {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  const text = bytes.toString("utf8");
  if (!Buffer.from(text, "utf8").equals(bytes)) return { payloadBase64: bytes.toString("base64") };
  if (contentType !== "application/json") return { payload: text };
  try {
    return { payload: JSON.parse(text) as unknown };
  } catch {
    return { payload: text };
  }
}
