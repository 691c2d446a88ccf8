import * as Type from "typebox";
import { commonUplinkOptions, uplinkTlsOptions } from "./common-options.ts";

/** One entry of `uplinks` with `kind: https`. */
export const httpsUplinkOptions = Type.Object(
  {
    ...commonUplinkOptions,
    kind: Type.Literal("https", { description: "A web server that takes batches." }),
    url: Type.String({
      pattern: "^https?://[^@?#]+$",
      description:
        "Where batches are posted to: `https://host/path`. `http://` only to this device, unless `allowPlain`. Credentials have settings of their own.",
    }),
    allowPlain: Type.Boolean({
      default: false,
      description:
        "Allows `http://` to other hosts: anyone on the way can read and change updates.",
    }),
    token: Type.Optional(
      Type.String({ description: "Sent as `Authorization: Bearer`; prefer `tokenFile`." }),
    ),
    tokenFile: Type.Optional(
      Type.String({
        description: "File whose first line is the token; read again at each connection.",
      }),
    ),
    tls: uplinkTlsOptions,
    compression: Type.Enum(["gzip", "zstd", "none"], {
      default: "gzip",
      description: "How batches are compressed; the receiver has to know it.",
    }),
    timeoutMs: Type.Integer({
      minimum: 100,
      maximum: 600_000,
      default: 30_000,
      description: "How long the receiver may take to answer a batch.",
    }),
    batchUpdatesMax: Type.Integer({
      minimum: 1,
      maximum: 10_000,
      default: 256,
      description: "Updates in one batch.",
    }),
    batchBytesMax: Type.Integer({
      minimum: 1_024,
      maximum: 67_108_864,
      default: 1_048_576,
      description: "Bytes in one batch before compression; a larger update travels alone.",
    }),
    lingerMs: Type.Integer({
      minimum: 0,
      maximum: 60_000,
      default: 20,
      description: "How long the first update of a batch waits for others.",
    }),
    inFlightBatches: Type.Integer({
      minimum: 1,
      maximum: 16,
      default: 1,
      description:
        "Batches that may be on the way at once. With more than one, a batch that fails may be overtaken.",
    }),
    retryAfterMaxMs: Type.Integer({
      minimum: 1_000,
      maximum: 86_400_000,
      default: 3_600_000,
      description: "The longest pause that a receiver's `Retry-After` is heeded for.",
    }),
    sync: Type.Enum(["auto", "off"], {
      default: "auto",
      description:
        "`auto` asks `{url}/marks` what the receiver has already, and sends the rest; `off` never asks.",
    }),
    patches: Type.Enum(["auto", "off"], {
      default: "auto",
      description:
        "`auto` sends states (`mqtt.topics[].keep: latest`) as JSON merge patches where the receiver says that it takes them (`agent-mesh receive` does); `off` always sends them whole.",
    }),
  },
  { additionalProperties: false },
);
