import * as Type from "typebox";

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
    broker: Type.Object(
      {
        embedded: Type.Boolean({
          default: true,
          description: "Run a broker; false: connect to the one at `mqtt.connect.url`.",
        }),
        host: Type.String({
          default: "127.0.0.1",
          description: "Address to listen on; 0.0.0.0 lets other machines publish.",
        }),
        port: Type.Integer({
          minimum: 0,
          maximum: 65_535,
          default: 1883,
          description: "Port to listen on; 0: any free one, told in DATA/run.json.",
        }),
        clientsMax: Type.Integer({
          minimum: 1,
          maximum: 10_000,
          default: 500,
          description: "Clients connected at once.",
        }),
        packetBytesMax: Type.Integer({
          minimum: 1_024,
          maximum: 16_777_216,
          default: 1_048_576,
          description: "Largest MQTT packet; a bigger one ends its connection.",
        }),
      },
      { additionalProperties: false, default: {}, description: "The broker inside the agent." },
    ),
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
  },
  { additionalProperties: false, default: {}, description: "Where readings come in." },
);

/** @see mqttOptions */
export type MqttOptions = Type.Static<typeof mqttOptions>;
