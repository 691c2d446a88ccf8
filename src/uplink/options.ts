import * as Type from "typebox";

const mqttUplinkOptions = Type.Object(
  {
    name: Type.String({
      pattern: "^[a-zA-Z0-9_-]{1,64}$",
      description: "Names the uplink in status, logs and metrics.",
    }),
    kind: Type.Literal("mqtt", { description: "An MQTT 5 or 3.1.1 broker." }),
    url: Type.String({
      pattern: "^mqtts?://[^/@]+/?$",
      description:
        "`mqtt://host:port`, or `mqtts://host:port` for TLS. Credentials have settings of their own.",
    }),
    protocol: Type.Enum(["auto", "5", "3.1.1"], {
      default: "auto",
      description: "MQTT version; `auto` falls back to 3.1.1 where the broker does not know 5.",
    }),
    clientId: Type.Optional(
      Type.String({ maxLength: 128, description: "Default: `agent-mesh-` and the agent's id." }),
    ),
    username: Type.Optional(Type.String({ description: "User at the broker." })),
    password: Type.Optional(Type.String({ description: "Password; prefer `passwordFile`." })),
    passwordFile: Type.Optional(
      Type.String({ description: "File whose first line is the password." }),
    ),
    tls: Type.Optional(
      Type.Object(
        {
          caFile: Type.Optional(
            Type.String({ description: "PEM file of the authority to trust." }),
          ),
          certFile: Type.Optional(
            Type.String({ description: "PEM file of our own certificate (mTLS)." }),
          ),
          keyFile: Type.Optional(Type.String({ description: "PEM file of our own key (mTLS)." })),
          serverName: Type.Optional(
            Type.String({ description: "Name to verify, where it differs from the URL's host." }),
          ),
        },
        { additionalProperties: false },
      ),
    ),
    topicPrefix: Type.String({
      pattern: "^[^+#$/][^+#]*$",
      maxLength: 128,
      default: "agent-mesh",
      description: "Updates go to `{topicPrefix}/{agent.id}/{topic}`.",
    }),
    envelope: Type.Enum(["auto", "none", "json"], {
      default: "auto",
      description:
        "How id and sequence travel: `auto` is user properties with MQTT 5 and a JSON envelope with 3.1.1.",
    }),
    inFlightMax: Type.Integer({
      minimum: 1,
      maximum: 65_535,
      default: 512,
      description:
        "Updates sent and not yet acknowledged; the broker's Receive Maximum may lower it.",
    }),
    keepaliveSeconds: Type.Integer({
      minimum: 1,
      maximum: 3_600,
      default: 30,
      description: "Silence after which the connection is tried, then given up.",
    }),
    connectTimeoutMs: Type.Integer({
      minimum: 100,
      maximum: 120_000,
      default: 10_000,
      description: "How long a connection attempt may take.",
    }),
    retryMinMs: Type.Integer({
      minimum: 10,
      maximum: 60_000,
      default: 1_000,
      description: "Backoff: the first attempt follows within this time…",
    }),
    retryMaxMs: Type.Integer({
      minimum: 100,
      maximum: 3_600_000,
      default: 60_000,
      description: "…doubling up to this one, with full jitter.",
    }),
  },
  { additionalProperties: false },
);

/** Settings under `uplinks`: where updates go, the first one that is up. */
export const uplinkOptions = Type.Array(mqttUplinkOptions, {
  default: [],
  maxItems: 16,
  description: "Where updates go: the first uplink that is up carries them.",
});

/** One entry of `uplinks`. */
export type UplinkOptions = Type.Static<typeof mqttUplinkOptions>;
