import * as Type from "typebox";

const file = (description: string) => Type.Optional(Type.String({ minLength: 1, description }));

const topicRules = (description: string) =>
  Type.Array(
    Type.Object(
      {
        filter: Type.String({
          minLength: 1,
          maxLength: 256,
          description: "MQTT topic filter of the name in the mesh: `sensors/#`.",
        }),
        prefix: Type.String({
          default: "",
          maxLength: 128,
          pattern: "^[^+#]*$",
          description: "Stands before the name in the cluster, such as `site-1/`.",
        }),
      },
      { additionalProperties: false },
    ),
    { default: [], maxItems: 64, description },
  );

const integer = (value: number, minimum: number, maximum: number, description: string) =>
  Type.Integer({ default: value, minimum, maximum, description });

const listenOptions = Type.Object(
  {
    enabled: Type.Boolean({ default: false, description: "Serve gRPC: what a gateway does." }),
    host: Type.String({
      default: "127.0.0.1",
      minLength: 1,
      maxLength: 45,
      description: "Address to listen on. `0.0.0.0` or `::` lets the whole network in.",
    }),
    port: integer(5001, 0, 65_535, "TCP port. 0: any free port, written to run.json."),
    tls: Type.Optional(
      Type.Object(
        {
          certFile: Type.String({ minLength: 1, description: "PEM file of the certificate." }),
          keyFile: Type.String({ minLength: 1, description: "PEM file of its key." }),
          caFile: file(
            "PEM file of the authority that clients' certificates have to come from. With it nobody gets in without one (mTLS).",
          ),
        },
        {
          additionalProperties: false,
          description: "Without it everything travels in the open. Files are looked at every 10 s.",
        },
      ),
    ),
  },
  { additionalProperties: false, default: {}, description: "Where clients and devices come in." },
);

const connectOptions = Type.Object(
  {
    name: Type.String({
      pattern: "^[a-zA-Z0-9_-]{1,64}$",
      description: "Names the gateway in status, logs and metrics.",
    }),
    url: Type.String({
      pattern: "^grpcs?://[^@/?#]+$",
      maxLength: 256,
      description: "`grpcs://host:port`; `grpc://` without TLS.",
    }),
    tokenFile: file(
      "File whose first line is the token; read again at each connection. Not sent in the open to another host.",
    ),
    tls: Type.Optional(
      Type.Object(
        {
          caFile: file("PEM file of the authority to trust."),
          certFile: file("PEM file of our own certificate (mTLS)."),
          keyFile: file("PEM file of our own key (mTLS)."),
          serverName: file("Name to verify, where it differs from the URL's host."),
        },
        { additionalProperties: false },
      ),
    ),
    tasks: Type.Array(Type.String({ minLength: 1, maxLength: 256 }), {
      default: [],
      maxItems: 64,
      description:
        "Tasks that this gateway and its clients may ask for here and in the mesh behind; `*` at the end stands for anything.",
    }),
  },
  { additionalProperties: false },
);

const limitOptions = Type.Object(
  {
    connectionsMax: integer(64, 1, 10_000, "Connections at once."),
    streamsPerConnectionMax: integer(64, 1, 1_000, "Calls at once on one connection."),
    requestsMax: integer(
      16,
      1,
      10_000,
      "Requests at once. Each may hold `messageBytesMax` twice: once coming, once going.",
    ),
    streamsMax: integer(64, 1, 10_000, "Subscriptions, downloads and attached devices at once."),
    callsPerPrincipalMax: integer(32, 1, 10_000, "Calls at once with the same credentials."),
    queueBytesMax: integer(
      8_388_608,
      65_536,
      268_435_456,
      "Most that waits for one client or device that reads slowly; then it is cut off, or refused.",
    ),
    agentsMax: integer(4_096, 16, 100_000, "Agents on all sides that are known at once."),
    hopsMax: integer(4, 1, 16, "Most bridges that anything may come over."),
    seenMax: integer(8_192, 256, 1_000_000, "Ids of messages that are remembered."),
  },
  { additionalProperties: false, default: {}, description: "Bounds of everything." },
);

/** Settings under `bridge`. */
export const bridgeOptions = Type.Object(
  {
    listen: listenOptions,
    connect: Type.Array(connectOptions, {
      default: [],
      maxItems: 8,
      description: "Gateways to stay attached to, each by a connection of our own.",
    }),
    topicsUp: topicRules(
      "What leaves the mesh; nothing else does. The first rule that fits counts.",
    ),
    topicsDown: topicRules(
      "What comes into the mesh; nothing else does. The first rule that fits counts.",
    ),
    messageBytesMax: integer(
      104_857_600,
      1_024,
      104_857_600,
      "Largest payload of a request, an answer or a message.",
    ),
    gzip: Type.Boolean({
      default: true,
      description: "Compress what is sent to those who understand it.",
    }),
    timeoutMs: integer(30_000, 100, 3_600_000, "For requests that have no deadline."),
    timeoutMsMax: integer(600_000, 100, 86_400_000, "The longest deadline that is heeded."),
    retryMinMs: integer(1_000, 10, 60_000, "Backoff: the first attempt follows within this time…"),
    retryMaxMs: integer(60_000, 100, 3_600_000, "…doubling up to this one, with full jitter."),
    limits: limitOptions,
  },
  {
    additionalProperties: false,
    default: {},
    description: "The bridge between the mesh and a cluster, over gRPC.",
  },
);

/** @see bridgeOptions */
export type BridgeOptions = Type.Static<typeof bridgeOptions>;
