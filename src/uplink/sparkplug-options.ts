import * as Type from "typebox";
import { commonUplinkOptions, uplinkTlsOptions } from "./common-options.ts";

const brokerUrl = "^mqtts?://[^/@]+/?$";
/** A level of a topic, which is what Sparkplug ids become. */
const id = "^[^+#/\\u0000]{1,128}$";

/** One entry of `uplinks` with `kind: sparkplug`. */
export const sparkplugUplinkOptions = Type.Object(
  {
    ...commonUplinkOptions,
    kind: Type.Literal("sparkplug", {
      description: "A Sparkplug B 3.0 host's broker, to which this agent is an edge node.",
    }),
    url: Type.String({
      pattern: brokerUrl,
      description:
        "`mqtt://host:port`, or `mqtts://host:port` for TLS. Credentials have settings of their own.",
    }),
    fallbackUrls: Type.Array(Type.String({ pattern: brokerUrl }), {
      default: [],
      maxItems: 8,
      description:
        "Further brokers of the same Sparkplug infrastructure, tried in turn; never two at once.",
    }),
    groupId: Type.String({
      pattern: id,
      description: "Sparkplug group that this node belongs to.",
    }),
    edgeNodeId: Type.Optional(
      Type.String({ pattern: id, description: "Sparkplug edge node id. Default: the agent's id." }),
    ),
    deviceFrom: Type.Integer({
      minimum: 0,
      maximum: 8,
      default: 0,
      description:
        "How many leading levels of a stream name its Sparkplug device: with 2, `sensors/room/temp` is metric `temp` of device `sensors:room`. 0: every metric is the node's own.",
    }),
    deviceSilenceSeconds: Type.Integer({
      minimum: 0,
      maximum: 2_592_000,
      default: 0,
      description:
        "A device of which nothing was heard for so long is declared dead (DDEATH); 0: devices live as long as the node.",
    }),
    aliases: Type.Boolean({
      default: false,
      description: "Data messages carry numbers for metric names: fewer bytes, harder to read.",
    }),
    primaryHost: Type.Optional(
      Type.String({
        pattern: id,
        description: "Publish only while this Sparkplug host application is online.",
      }),
    ),
    primaryHostWaitMs: Type.Integer({
      minimum: 1_000,
      maximum: 3_600_000,
      default: 30_000,
      description: "With `fallbackUrls`: how long to wait for the primary host at one broker.",
    }),
    qos: Type.Enum([0, 1], {
      default: 0,
      description:
        "Of data messages: 0 is what the specification demands, 1 has the broker acknowledge each.",
    }),
    metricsMax: Type.Integer({
      minimum: 1,
      maximum: 100_000,
      default: 10_000,
      description: "Metrics of this node and its devices; updates with more become dead letters.",
    }),
    protocol: Type.Enum(["auto", "5", "3.1.1"], {
      default: "auto",
      description: "MQTT version; `auto` falls back to 3.1.1 where the broker does not know 5.",
    }),
    clientId: Type.Optional(
      Type.String({
        maxLength: 128,
        description: "Default: `agent-mesh-`, the agent's id and `-sparkplug`.",
      }),
    ),
    username: Type.Optional(Type.String({ description: "User at the broker." })),
    password: Type.Optional(Type.String({ description: "Password; prefer `passwordFile`." })),
    passwordFile: Type.Optional(
      Type.String({ description: "File whose first line is the password." }),
    ),
    tls: uplinkTlsOptions,
    keepaliveSeconds: Type.Integer({
      minimum: 1,
      maximum: 3_600,
      default: 30,
      description: "Silence after which the connection is tried, then given up.",
    }),
  },
  { additionalProperties: false },
);
