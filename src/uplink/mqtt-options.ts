import * as Type from "typebox";
import { commonUplinkOptions, uplinkTlsOptions } from "./common-options.ts";

/** One entry of `uplinks` with `kind: mqtt`. */
export const mqttUplinkOptions = Type.Object(
  {
    ...commonUplinkOptions,
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
    tls: uplinkTlsOptions,
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
    sync: Type.Enum(["auto", "off"], {
      default: "off",
      description:
        "`auto` asks the receiver behind the broker (`agent-mesh receive`) what it has already, and sends the rest; `off` never asks.",
    }),
    homeAssistant: Type.Object(
      {
        enabled: Type.Boolean({
          default: false,
          description:
            "Announce every value that goes out to Home Assistant (MQTT discovery). Set back to false, what was announced is taken back.",
        }),
        prefix: Type.String({
          pattern: "^[^+#$/][^+#]*$",
          maxLength: 128,
          default: "homeassistant",
          description: "Home Assistant's discovery prefix.",
        }),
        entitiesMax: Type.Integer({
          minimum: 1,
          maximum: 5_000,
          default: 256,
          description: "At most so many entities are announced.",
        }),
        forgetAfterDays: Type.Integer({
          minimum: 0,
          maximum: 3_650,
          default: 30,
          description:
            "A stream that has sent nothing for so many days loses its entities; 0: never.",
        }),
      },
      { additionalProperties: false, default: {} },
    ),
    keepaliveSeconds: Type.Integer({
      minimum: 1,
      maximum: 3_600,
      default: 30,
      description: "Silence after which the connection is tried, then given up.",
    }),
  },
  { additionalProperties: false },
);
