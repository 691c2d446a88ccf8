import * as Type from "typebox";
import { count, epochMs, list } from "./common.ts";

/** The newest reading of a stream. */
export const reading = Type.Object(
  {
    stream: Type.String(),
    topic: Type.String(),
    text: Type.Optional(
      Type.String({ description: "Payload, cut at 256 bytes; absent when it is not UTF-8." }),
    ),
    bytes: count("Length of the payload."),
    contentType: Type.String(),
    sequence: Type.Integer(),
    observedAtMs: epochMs("When it came in."),
    observedAtTrusted: Type.Boolean({
      description: "False when the clock was evidently wrong then.",
    }),
    count: count("Readings of this stream since the agent started."),
  },
  { $id: "Reading" },
);

/** GET /v1/readings: the newest reading of each stream, newest first. */
export const readings = list("Readings", reading, {
  total: count("Streams that match."),
  totals: Type.Object(
    {
      received: count("Readings taken."),
      refused: count("Readings refused."),
      deadLettered: count("Readings that could not be taken and were kept with the reason."),
      bytes: count("Payload bytes taken."),
    },
    { description: "Since the agent started." },
  ),
});

/** How topics become updates. */
export const mapping = Type.Object(
  {
    filter: Type.String({ description: "MQTT topic filter." }),
    priority: Type.Integer({ minimum: 0, maximum: 9 }),
    expireAfterMs: Type.Number({ description: "0: never." }),
    format: Type.Enum(["any", "json"]),
    received: count("Readings that matched since the agent started."),
  },
  { $id: "TopicMapping" },
);

/** GET /v1/mqtt/mappings: first match counts. */
export const mappings = list("TopicMappings", mapping, {
  broker: Type.Object({
    kind: Type.Enum(["embedded", "client"]),
    connected: Type.Boolean(),
    url: Type.String({ description: "Without credentials." }),
    clients: Type.Optional(count("Clients connected to the embedded broker.")),
    reason: Type.Optional(Type.String({ description: "Why it is not connected." })),
  }),
});
