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
    keep: Type.Enum(["all", "latest"]),
    key: Type.Optional(Type.String()),
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
    tlsUrl: Type.Optional(Type.String({ description: "Where the embedded broker takes TLS." })),
    clients: Type.Optional(count("Clients connected to the embedded broker.")),
    refusedConnections: Type.Optional(
      count("Connections turned away for their credentials since the agent started."),
    ),
    denied: Type.Optional(
      count("Publishes and subscriptions that were not permitted since the agent started."),
    ),
    remembered: Type.Optional(
      Type.Object(
        {
          sessions: count("Sessions that outlive their connection."),
          subscriptions: count("Their subscriptions of QoS 1 and 2."),
          queuedMessages: count("Messages on disk for them."),
          queuedBytes: count("Bytes of those."),
          retained: count("Retained messages."),
          retainedBytes: count("Bytes of those."),
          dropped: count("Messages that no room was left for since the agent started."),
          expired: count("Queued messages that expired since the agent started."),
          damaged: count("Entries that could not be read and were set aside."),
        },
        { description: "What the embedded broker remembers across restarts." },
      ),
    ),
    undelivered: Type.Optional(
      count("Messages that its subscribers missed because they did not keep up, since it started."),
    ),
    reason: Type.Optional(Type.String({ description: "Why it is not connected." })),
  }),
});
