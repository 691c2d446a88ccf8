import * as Type from "typebox";
import { brokerOptions } from "./broker-options.ts";

const tlsOptions = Type.Object(
  {
    caFile: Type.Optional(Type.String({ description: "PEM file of the authority to trust." })),
    certFile: Type.Optional(
      Type.String({ description: "PEM file of our own certificate (mTLS)." }),
    ),
    keyFile: Type.Optional(Type.String({ description: "PEM file of our own key (mTLS)." })),
    serverName: Type.Optional(
      Type.String({ description: "Name to verify, where it differs from the URL's host." }),
    ),
  },
  { additionalProperties: false },
);

const topicOptions = Type.Object(
  {
    filter: Type.String({
      minLength: 1,
      maxLength: 512,
      description: "MQTT topic filter; `+` and `#` allowed. The first entry that matches counts.",
    }),
    priority: Type.Integer({
      minimum: 0,
      maximum: 9,
      default: 5,
      description: "0 is shed first, 9 leaves first.",
    }),
    expireAfterMs: Type.Optional(
      Type.Integer({ minimum: 0, description: "Overrides `outbox.expireAfterMs`; 0: never." }),
    ),
    keep: Type.Enum(["all", "latest"], {
      default: "all",
      description:
        "`latest` is for states: while several of one `key` wait, only the newest is sent.",
    }),
    key: Type.Optional(
      Type.String({
        pattern: "^(/([^~/]|~[01])*)+$",
        maxLength: 256,
        description:
          "With `keep: latest`: JSON Pointer to what tells states on one topic apart, for example `/valve`. Default: the topic has one state.",
      }),
    ),
    format: Type.Enum(["any", "json"], {
      default: "any",
      description: "`json` sets payloads that do not parse aside as dead letters.",
    }),
  },
  { additionalProperties: false },
);

/** Settings under `mqtt`: where readings come in. */
export const mqttOptions = Type.Object(
  {
    broker: brokerOptions,
    connect: Type.Object(
      {
        url: Type.Optional(
          Type.String({
            pattern: "^mqtts?://[^/@]+/?$",
            description:
              "Existing broker, for example `mqtt://127.0.0.1:1883`. Credentials have settings of their own.",
          }),
        ),
        clientId: Type.Optional(
          Type.String({
            maxLength: 128,
            description: "Default: `agent-mesh-` and the agent's id.",
          }),
        ),
        username: Type.Optional(Type.String({ description: "User at the broker." })),
        password: Type.Optional(
          Type.String({ description: "Password at the broker; prefer `passwordFile`." }),
        ),
        passwordFile: Type.Optional(
          Type.String({ description: "File whose first line is the password." }),
        ),
        protocol: Type.Enum(["5", "3.1.1"], {
          default: "5",
          description: "MQTT version to speak.",
        }),
        tls: Type.Optional(tlsOptions),
        keepaliveSeconds: Type.Integer({
          minimum: 1,
          maximum: 3_600,
          default: 30,
          description: "Silence after which the connection is tried, then given up.",
        }),
      },
      {
        additionalProperties: false,
        default: {},
        description: "A broker that is already there, in place of the one inside the agent.",
      },
    ),
    topics: Type.Array(topicOptions, {
      default: [{ filter: "sensors/#" }],
      maxItems: 1_000,
      description: "Which topics are readings, and how they are treated.",
    }),
    deviceReadings: Type.Boolean({
      default: true,
      description: "The device's own resource snapshots are readings too (`device/resources`).",
    }),
    deviceReadingsIntervalMs: Type.Integer({
      default: 60_000,
      minimum: 1_000,
      maximum: 86_400_000,
      description:
        "Least time between two of them; the looks in between only go into the history. Each costs flash and uplink.",
    }),
  },
  { additionalProperties: false, default: {}, description: "Where readings come in." },
);

/** @see mqttOptions */
export type MqttOptions = Type.Static<typeof mqttOptions>;
