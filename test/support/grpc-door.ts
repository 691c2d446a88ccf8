import type { Test } from "tap";
import {
  BridgeError,
  type BridgeHandler,
  type BridgeMessage,
  type BridgePrincipal,
} from "../../src/platform/bridge.ts";
import { GrpcBridgeClient } from "../../src/platform/grpc/client.ts";
import type { GrpcClientOptions } from "../../src/platform/grpc/dial.ts";
import { GrpcBridgeServer, type GrpcServerOptions } from "../../src/platform/grpc/server.ts";
import { SystemClock } from "../../src/platform/node/system-clock.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { keptLog } from "./kept-log.ts";

/** Largest payload in these tests, unless they say another. */
export const MESSAGE_BYTES_MAX = 104_857_600;

/** Somebody who may do everything. */
export const anybody: BridgePrincipal = { name: "anybody", allows: () => true };

/** A handler that answers with what it got, and refuses everything that a test does not add. */
export function echo(more: Partial<BridgeHandler> = {}): BridgeHandler {
  const no = (): never => {
    throw new BridgeError("bridge.unsupported", "not in this test");
  };
  return {
    exchange: ({ payload }) => Promise.resolve(payload),
    publish: () => Promise.resolve(0),
    subscribe: no,
    agents: () => [],
    watchAgents: no,
    uploadOffset: no,
    upload: no,
    download: no,
    link: no,
    ...more,
  };
}

/** @returns settings of a server that lets everybody in, on any free port */
export function serverOptions(
  more: Omit<Partial<GrpcServerOptions>, "limits"> & {
    limits?: Partial<GrpcServerOptions["limits"]>;
  } = {},
): GrpcServerOptions {
  return {
    host: "127.0.0.1",
    port: 0,
    gzip: true,
    authenticate: () => anybody,
    clock: new SystemClock(),
    random: new SeededRandom("grpc"),
    logger: keptLog(),
    stopGraceMs: 200,
    ...more,
    limits: {
      messageBytesMax: MESSAGE_BYTES_MAX,
      queueBytesMax: 4_194_304,
      timeoutMs: 30_000,
      timeoutMsMax: 600_000,
      connectionsMax: 16,
      streamsPerConnectionMax: 64,
      requestsMax: 32,
      streamsMax: 32,
      callsPerPrincipalMax: 32,
      ...more.limits,
    },
  };
}

/** Starts a server; it ends with the test at the latest. */
export async function startDoor(
  t: Pick<Test, "teardown">,
  handler: BridgeHandler,
  more?: Parameters<typeof serverOptions>[0],
): Promise<{ server: GrpcBridgeServer; url: string }> {
  const server = new GrpcBridgeServer(serverOptions(more));
  t.teardown(() => server.stop());
  await server.start(handler);
  return { server, url: server.address()! };
}

/** @returns a client that ends with the test */
export function clientOf(
  t: Pick<Test, "teardown">,
  url: string,
  more: Partial<GrpcClientOptions> = {},
): GrpcBridgeClient {
  const client = new GrpcBridgeClient({
    url,
    gzip: false,
    messageBytesMax: MESSAGE_BYTES_MAX,
    timeoutMs: 60_000,
    ...more,
  });
  t.teardown(() => client.stop());
  return client;
}

/** A request with everything but what matters to a test. */
export function requestOf(payload: Uint8Array, timeoutMs = 60_000) {
  return { id: "r1", target: "pi-1", task: "/echo/1", payload, via: [], timeoutMs };
}

/** @returns a message somebody published */
export function messageOf(
  topic: string,
  payload: Uint8Array,
  more: Partial<BridgeMessage> = {},
): BridgeMessage {
  return { id: `${topic}-1`, topic, payload, via: [], ...more };
}

/** @returns the code of what was thrown, or that nothing was */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "nothing thrown";
  } catch (error) {
    return error instanceof BridgeError ? error.code : String(error);
  }
}
