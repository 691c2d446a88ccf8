import * as Type from "typebox";

const filters = (description: string, fallback: string[]) =>
  Type.Array(Type.String({ minLength: 1, maxLength: 512 }), {
    maxItems: 1_000,
    default: fallback,
    description,
  });

const userOptions = Type.Object(
  {
    name: Type.String({
      minLength: 1,
      maxLength: 256,
      description: "User name; also the common name of a certificate that stands for the user.",
    }),
    passwordHash: Type.Optional(
      Type.String({
        pattern:
          "^\\$scrypt\\$ln=1[0-7],r=8,p=(1[0-6]|[1-9])\\$[A-Za-z0-9+/]{22}\\$[A-Za-z0-9+/]{43}$",
        description: "What `agent-mesh mqtt hash-password` printed. Never the password itself.",
      }),
    ),
    passwordFile: Type.Optional(
      Type.String({ description: "File whose first line is such a hash." }),
    ),
    publish: filters(
      "Topic filters the user may publish to; `%u` is the user's name, `%c` the client's id. Empty: nothing.",
      [],
    ),
    subscribe: filters("Topic filters the user may subscribe to, likewise. Empty: nothing.", []),
  },
  { additionalProperties: false },
);

const anonymousOptions = Type.Object(
  {
    allow: Type.Optional(
      Type.Boolean({
        description: "Let clients in without a user name. Default: only while there are no users.",
      }),
    ),
    publish: filters("Topic filters they may publish to; `%c` is the client's id.", ["#"]),
    subscribe: filters("Topic filters they may subscribe to, likewise.", ["#"]),
  },
  {
    additionalProperties: false,
    default: {},
    description: "Clients without a user name.",
  },
);

const brokerTlsOptions = Type.Object(
  {
    host: Type.Optional(
      Type.String({ description: "Address to listen on; default: `mqtt.broker.host`." }),
    ),
    port: Type.Integer({
      minimum: 0,
      maximum: 65_535,
      default: 8883,
      description: "Port to listen on; 0: any free one, told in DATA/run.json.",
    }),
    certFile: Type.String({ description: "PEM file of the broker's certificate, chain included." }),
    keyFile: Type.String({ description: "PEM file of its key, without a passphrase." }),
    caFile: Type.Optional(
      Type.String({ description: "PEM file of the authority that signs clients' certificates." }),
    ),
    requireClientCertificate: Type.Boolean({
      default: false,
      description: "Let only clients in that show a certificate signed by `caFile`.",
    }),
  },
  {
    additionalProperties: false,
    description: "TLS listener. The files are read again within ten seconds of a change.",
  },
);

/** Settings under `mqtt.broker`: the broker inside the agent. */
export const brokerOptions = Type.Object(
  {
    embedded: Type.Boolean({
      default: true,
      description: "Run a broker; false: connect to the one at `mqtt.connect.url`.",
    }),
    plain: Type.Boolean({
      default: true,
      description: "Listen without TLS, at `host` and `port`; false: only `tls` listens.",
    }),
    host: Type.String({
      default: "127.0.0.1",
      description:
        "Address to listen on; 0.0.0.0 lets other machines publish, which wants `users`, client certificates or `anonymous.allow`.",
    }),
    port: Type.Integer({
      minimum: 0,
      maximum: 65_535,
      default: 1883,
      description: "Port to listen on; 0: any free one, told in DATA/run.json.",
    }),
    tls: Type.Optional(brokerTlsOptions),
    users: Type.Array(userOptions, {
      default: [],
      maxItems: 1_000,
      description: "Who may connect with which password, and what they may do.",
    }),
    anonymous: anonymousOptions,
    clientsMax: Type.Integer({
      minimum: 1,
      maximum: 10_000,
      default: 500,
      description: "Clients connected at once, on each listener.",
    }),
    packetBytesMax: Type.Integer({
      minimum: 1_024,
      maximum: 16_777_216,
      default: 1_048_576,
      description: "Largest MQTT packet; a bigger one ends its connection.",
    }),
    receiveMaximum: Type.Integer({
      minimum: 1,
      maximum: 65_535,
      default: 1_024,
      description:
        "Messages of one client that are not acknowledged yet; MQTT 5 clients are told, others wait.",
    }),
    outboundBytesMax: Type.Integer({
      minimum: 65_536,
      maximum: 268_435_456,
      default: 4_194_304,
      description:
        "What may wait for one subscriber that reads too slowly; then it loses QoS 0 messages, or its connection.",
    }),
    sessionsMax: Type.Integer({
      minimum: 0,
      maximum: 100_000,
      default: 1_000,
      description: "Sessions that outlive their connection; over it, new ones end with theirs.",
    }),
    subscriptionsPerSessionMax: Type.Integer({
      minimum: 1,
      maximum: 10_000,
      default: 100,
      description: "Subscriptions that such a session keeps.",
    }),
    sessionExpirySecondsMax: Type.Integer({
      minimum: 1,
      maximum: 31_536_000,
      default: 604_800,
      description: "A session whose client stays away for longer is forgotten, MQTT 3.1.1 too.",
    }),
    queuedBytesPerSessionMax: Type.Integer({
      minimum: 1_024,
      maximum: 1_073_741_824,
      default: 1_048_576,
      description: "QoS 1 and 2 messages on disk for one session; the newest are dropped over it.",
    }),
    queuedBytesMax: Type.Integer({
      minimum: 1_024,
      maximum: 4_294_967_296,
      default: 33_554_432,
      description: "The same for all sessions together.",
    }),
    retainedMax: Type.Integer({
      minimum: 0,
      maximum: 1_000_000,
      default: 5_000,
      description: "Retained messages, in memory and on disk; further topics are not retained.",
    }),
    retainedBytesMax: Type.Integer({
      minimum: 0,
      maximum: 1_073_741_824,
      default: 8_388_608,
      description: "Their bytes.",
    }),
  },
  { additionalProperties: false, default: {}, description: "The broker inside the agent." },
);

/** @see brokerOptions */
export type BrokerOptions = Type.Static<typeof brokerOptions>;
