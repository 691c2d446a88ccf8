import type { HttpsUplinkOptions } from "../../src/platform/https/https-uplink.ts";
import type { NatsUplinkOptions } from "../../src/platform/nats/nats-uplink.ts";

/** @returns settings of an HTTPS uplink of `agent-1`, with patience for tests. */
export function httpsOptions(
  url: string,
  over: Partial<HttpsUplinkOptions> = {},
): HttpsUplinkOptions {
  return {
    url,
    agentId: "agent-1",
    token: () => undefined,
    tokenSetting: "uplinks.web.tokenFile",
    compression: "gzip",
    connectTimeoutMs: 5_000,
    timeoutMs: 5_000,
    batchUpdatesMax: 8,
    batchBytesMax: 65_536,
    lingerMs: 5,
    inFlightBatches: 1,
    inFlightMax: 100,
    retryAfterMaxMs: 60_000,
    retryMaxMs: 10_000,
    sync: "auto",
    patches: "auto",
    ...over,
  };
}

/** @returns settings of a NATS uplink of `agent-1` to a stream `UPDATES`. */
export function natsOptions(url: string, over: Partial<NatsUplinkOptions> = {}): NatsUplinkOptions {
  return {
    url,
    agentId: "agent-1",
    credentials: () => ({}),
    subjectPrefix: "fleet",
    streamName: "UPDATES",
    createStream: true,
    duplicateWindowMs: 120_000,
    ordering: "window",
    keepaliveSeconds: 30,
    connectTimeoutMs: 5_000,
    retryMaxMs: 10_000,
    inFlightMax: 100,
    sync: "auto",
    ...over,
  };
}
