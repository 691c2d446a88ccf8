import * as Type from "typebox";
import { commonUplinkOptions, uplinkTlsOptions } from "./common-options.ts";

/** One entry of `uplinks` with `kind: nats`. */
export const natsUplinkOptions = Type.Object(
  {
    ...commonUplinkOptions,
    kind: Type.Literal("nats", { description: "A NATS server with JetStream." }),
    url: Type.String({
      pattern: "^(nats|tls)://[^/@]+/?$",
      description:
        "`nats://host:port`, or `tls://host:port` to insist on TLS. Credentials have settings of their own.",
    }),
    username: Type.Optional(Type.String({ description: "User at the server." })),
    password: Type.Optional(Type.String({ description: "Password; prefer `passwordFile`." })),
    passwordFile: Type.Optional(
      Type.String({ description: "File whose first line is the password." }),
    ),
    token: Type.Optional(Type.String({ description: "Token; prefer `tokenFile`." })),
    tokenFile: Type.Optional(Type.String({ description: "File whose first line is the token." })),
    credentialsFile: Type.Optional(
      Type.String({ description: "A `.creds` file with user JWT and NKey seed." }),
    ),
    tls: uplinkTlsOptions,
    subjectPrefix: Type.String({
      pattern: "^[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+)*$",
      maxLength: 128,
      default: "agent-mesh",
      description: "Updates go to `{subjectPrefix}.{agent.id}.{topic}`, with dots for slashes.",
    }),
    streamName: Type.String({
      pattern: "^[A-Za-z0-9_-]{1,64}$",
      default: "AGENT_MESH",
      description: "The JetStream stream that keeps the updates.",
    }),
    createStream: Type.Boolean({
      default: false,
      description:
        "Creates the stream where it is missing: subjects `{subjectPrefix}.>`, file storage.",
    }),
    duplicateWindowMs: Type.Integer({
      minimum: 1_000,
      maximum: 86_400_000,
      default: 600_000,
      description: "For `createStream`: how long the server remembers ids to drop repeats.",
    }),
    ordering: Type.Enum(["window", "strict"], {
      default: "window",
      description:
        "`window` sends on before the acknowledgement; `strict` has one update of a stream on the way at a time, so that none can overtake one that failed.",
    }),
    keepaliveSeconds: Type.Integer({
      minimum: 1,
      maximum: 3_600,
      default: 30,
      description: "Silence after which the connection is tried, then given up.",
    }),
    sync: Type.Enum(["auto", "off"], {
      default: "auto",
      description:
        "`auto` asks the server what it has already, and sends the rest; `off` never asks.",
    }),
  },
  { additionalProperties: false },
);
