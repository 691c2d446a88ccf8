import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Test } from "tap";
import type { ReceiveOptions } from "../../src/cli/receive/options.ts";
import { runReceiver } from "../../src/cli/receive/run-receiver.ts";
import type { ReceiverService } from "../../src/receiver/service.ts";
import { type KeptLog, keptLog } from "./kept-log.ts";

type Init = Omit<RequestInit, "headers"> & { readonly headers?: Record<string, string> };

/** A receiver within the test's own process, on a real store and real ports. */
export interface ReceiverUnderTest {
  readonly service: ReceiverService;
  readonly log: KeptLog;
  /** A request with the admin token, unless `init` brings another. */
  ask(path: string, init?: Init): Promise<Response>;
  /** Hands in lines. */
  post(lines: readonly string[], init?: Init): Promise<Response>;
  /** Sequences that are kept of a stream. */
  kept(stream: string, agent?: string): Promise<number[]>;
  stop(): Promise<void>;
}

/** @returns one line as an agent sends it */
export function updateLine(sequence: number, more: Record<string, unknown> = {}): string {
  const { agent = "pi-1", stream = "s" } = more as { agent?: string; stream?: string };
  return JSON.stringify({
    id: `${agent}/${stream}/${sequence}`,
    stream,
    sequence,
    observedAt: new Date(Date.UTC(2026, 10, 22) + sequence).toISOString(),
    observedAtTrusted: true,
    contentType: "application/json",
    payload: { value: sequence },
    ...more,
    agent: undefined,
  });
}

/** Starts a receiver on a free port; the test's end stops it. */
export async function startReceiver(
  t: Test,
  data: string,
  options: Partial<ReceiveOptions> = {},
): Promise<ReceiverUnderTest> {
  const log = keptLog();
  const service = await runReceiver(
    {
      listen: { host: "127.0.0.1", port: 0 },
      data,
      mqttClientId: "receiver",
      mqttProtocol: "5",
      natsStream: "AGENT_MESH",
      natsConsumer: "receiver",
      topicPrefix: "agent-mesh",
      keepBytes: 0,
      keepDays: 0,
      agentsMax: 100,
      streamsMax: 100,
      streamsPerAgentMax: 100,
      updateBytesMax: 1_000_000,
      ...options,
    },
    log,
  );
  const token = readFileSync(join(data, "admin.token"), "utf8").trim();
  const headers = { authorization: `Bearer ${token}` };
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => (stopped ??= service.stop());
  t.teardown(stop);
  const ask = (path: string, init: Init = {}): Promise<Response> =>
    fetch(service.url + path, { ...init, headers: { ...headers, ...init.headers } });
  return {
    service,
    log,
    ask,
    post: (lines, init = {}) =>
      ask("/v1/updates", {
        method: "POST",
        body: `${lines.join("\n")}\n`,
        ...init,
        headers: { "content-type": "application/x-ndjson", ...init.headers },
      }),
    async kept(stream, agent = "pi-1") {
      const query = new URLSearchParams({ agent, stream, limit: "10000" });
      const text = await (await ask(`/v1/updates?${query.toString()}`)).text();
      return text
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => (JSON.parse(line) as { sequence: number }).sequence);
    },
    stop,
  };
}
