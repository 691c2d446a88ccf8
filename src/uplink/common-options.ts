import * as Type from "typebox";

/** What every kind of uplink can be told, besides its own keys. */
export const commonUplinkOptions = {
  name: Type.String({
    pattern: "^[a-zA-Z0-9_-]{1,64}$",
    description: "Names the uplink in status, logs and metrics.",
  }),
  priority: Type.Integer({
    minimum: -100,
    maximum: 100,
    default: 0,
    description:
      "The uplink with the highest priority carries the updates; among equals, the first.",
  }),
  updatePriorityMin: Type.Integer({
    minimum: 0,
    maximum: 9,
    default: 0,
    description: "Updates of a lower priority wait for another uplink.",
  }),
  standby: Type.Optional(
    Type.Enum(["connected", "cold"], {
      description:
        "While a better uplink carries the updates: stay `connected`, or `cold`, dialled only when needed. Default: `cold` with `bytesPerDayMax`, else `connected`.",
    }),
  ),
  failbackAfterMs: Type.Integer({
    minimum: 0,
    maximum: 86_400_000,
    default: 30_000,
    description:
      "How long this uplink must have been up again before it takes over from a worse one; longer each time it fails soon after.",
  }),
  stallTimeoutMs: Type.Integer({
    minimum: 100,
    maximum: 3_600_000,
    default: 60_000,
    description: "An uplink that acknowledges nothing of what it was sent for so long has failed.",
  }),
  refusalsMax: Type.Integer({
    minimum: 1,
    maximum: 1_000,
    default: 3,
    description:
      "A receiver that asks us to come back within `stallTimeoutMs` keeps its turn so many times; then the next uplink takes over.",
  }),
  inFlightMax: Type.Integer({
    minimum: 1,
    maximum: 65_535,
    default: 512,
    description: "Updates sent and not yet acknowledged; the receiver may ask for fewer.",
  }),
  updatesPerSecondMax: Type.Optional(
    Type.Number({
      exclusiveMinimum: 0,
      maximum: 1_000_000,
      description: "At most so many updates a second, in bursts of up to a second's worth.",
    }),
  ),
  bytesPerSecondMax: Type.Optional(
    Type.Number({
      exclusiveMinimum: 0,
      maximum: 10_000_000_000,
      description:
        "At most so many bytes of payload a second, in bursts of up to a second's worth.",
    }),
  ),
  bytesPerDayMax: Type.Optional(
    Type.Integer({
      minimum: 10_000,
      maximum: 1_000_000_000_000_000,
      description:
        "For metered links: at most so many bytes per UTC day both ways, counted at our end of the connection and kept across restarts. Then the next uplink takes over.",
    }),
  ),
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
};

/** PEM files for TLS and mTLS. */
export const uplinkTlsOptions = Type.Optional(
  Type.Object(
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
  ),
);
