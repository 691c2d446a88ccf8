import { contentOf, encodeUpdateLine } from "../../sync/update-line.ts";
import type { OutboundUpdate } from "../uplink-connection.ts";

/**
 * The update as JSON, for receivers that can't read MQTT 5 user properties:
 * `{id, stream, sequence, observedAt, observedAtTrusted, contentType, payload | payloadBase64}`, where
 * `payload` is the parsed JSON of `application/json` or the text of all else, and `payloadBase64` stands for what is no
 * text.
 */
export function envelope(update: OutboundUpdate): Buffer {
  const { payload, contentType } = update;
  const content = contentOf({
    payload,
    contentType: contentType === "application/json" ? contentType : "text/plain",
  });
  return Buffer.from(encodeUpdateLine(update, { content, keyless: true }));
}
