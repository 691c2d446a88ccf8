import { type AddressInfo, createServer, type Server as Listener, type Socket } from "node:net";
import {
  type ConnectionInjector,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type sendUnaryData,
} from "@grpc/grpc-js";
import { BridgeService } from "../../wire/agent_mesh/bridge/v1/bridge_pb.ts";
import type { Authenticate, BridgeHandler, BridgeServer, BridgeServerCounters } from "../bridge.ts";
import type { Clock, Timer } from "../clock.ts";
import type { Logger } from "../logger.ts";
import type { Random } from "../random.ts";
import { download, upload } from "./bulk-calls.ts";
import { rawService } from "./definitions.ts";
import { Door, type DoorLimits } from "./door.ts";
import { Health } from "./health.ts";
import { ENVELOPE_BYTES_MAX, KEEPALIVE_MS, KEEPALIVE_TIMEOUT_MS } from "./limits.ts";
import { type CallLimits, type Parts, teller } from "./parts.ts";
import { Reflection } from "./reflection.ts";
import { link, type StreamingCall, subscribe, watchAgents } from "./stream-calls.ts";
import { readServerTls, type ServerTlsFiles, stampOf } from "./tls-files.ts";
import { unaryCalls } from "./unary-calls.ts";

/** Bounds of a server. */
export interface GrpcServerLimits extends CallLimits, DoorLimits {
  readonly connectionsMax: number;
  /** Calls at once on one connection (HTTP/2 `SETTINGS_MAX_CONCURRENT_STREAMS`). */
  readonly streamsPerConnectionMax: number;
}

/** Settings of a server. */
export interface GrpcServerOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** With `caFile` nobody gets in without a certificate of that authority. */
  readonly tls?: ServerTlsFiles | undefined;
  /** Compress answers for clients that ask for it. */
  readonly gzip: boolean;
  readonly limits: GrpcServerLimits;
  readonly authenticate: Authenticate;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** How long calls may go on after `stop`. */
  readonly stopGraceMs: number;
}

const LOOK_MS = 10_000;

/** The door of a bridge over gRPC (`proto/agent_mesh/bridge/v1`), with health checks and reflection. */
export class GrpcBridgeServer implements BridgeServer {
  readonly #options: GrpcServerOptions;
  readonly #door: Door;
  readonly #health = new Health([BridgeService.typeName]);
  readonly #listener: Listener;
  readonly #sockets = new Set<Socket>();
  readonly #ended = { receivedBytes: 0, sentBytes: 0 };
  #server: Server | undefined;
  #injector: ConnectionInjector | undefined;
  #timer: Timer | undefined;
  #stamp = "";
  #connectionsRefused = 0;
  #stopping: Promise<void> | undefined;

  constructor(options: GrpcServerOptions) {
    this.#options = options;
    this.#door = new Door(options.authenticate, options.limits);
    this.#listener = createServer({ noDelay: true }, (socket) => this.#accept(socket));
  }

  async start(handler: BridgeHandler): Promise<void> {
    const { host, port, limits, tls } = this.#options;
    const messageBytes = limits.messageBytesMax + ENVELOPE_BYTES_MAX;
    this.#server = new Server({
      interceptors: [this.#door.guarding],
      "grpc.max_receive_message_length": messageBytes,
      "grpc.max_send_message_length": messageBytes,
      "grpc.max_concurrent_streams": limits.streamsPerConnectionMax,
      "grpc.keepalive_time_ms": KEEPALIVE_MS,
      "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
      "grpc.enable_channelz": 0,
    });
    this.#addServices(this.#server, handler);
    this.#injector = this.#server.createConnectionInjector(this.#credentials());
    if (tls !== undefined) this.#look(tls);
    await new Promise<void>((resolve, reject) => {
      this.#listener.once("error", (error) =>
        reject(
          new Error(`bridge.listen: ${host} port ${port}: ${error.message}`, { cause: error }),
        ),
      );
      this.#listener.listen({ host, port }, resolve);
    });
    this.#listener.on("error", (error) =>
      this.#options.logger.error("the bridge can not take connections", { reason: error.message }),
    );
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  address(): string | undefined {
    const address = this.#listener.address() as AddressInfo | null;
    if (address === null) return undefined;
    const host = address.family === "IPv6" ? `[${address.address}]` : address.address;
    return `${this.#options.tls === undefined ? "grpc" : "grpcs"}://${host}:${address.port}`;
  }

  counters(): BridgeServerCounters {
    return {
      connectionsNow: this.#sockets.size,
      connectionsRefused: this.#connectionsRefused,
      callsNow: this.#door.callsNow,
      statuses: this.#door.statuses,
      refusals: this.#door.refusals,
      ...this.#ended,
    };
  }

  async #stop(): Promise<void> {
    this.#timer?.cancel();
    this.#health.leave();
    const closed = new Promise<void>((resolve) => this.#listener.close(() => resolve()));
    // Tells clients to make no calls any more; their connections end with the last call.
    this.#server?.tryShutdown(() => undefined);
    const { promise: graceOver, resolve: give } = Promise.withResolvers<void>();
    const grace = this.#options.clock.setTimer("bridge.stop", this.#options.stopGraceMs, give);
    await Promise.race([closed, graceOver]);
    grace.cancel();
    this.#server?.forceShutdown();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
    this.#sockets.clear();
  }

  #addServices(server: Server, handler: BridgeHandler): void {
    const { limits, gzip, random, logger } = this.#options;
    const parts: Parts = {
      handler,
      door: this.#door,
      limits,
      gzip,
      makeId: () => Buffer.from(random.bytes(16)).toString("hex"),
      onReceived: (bytes) => {
        this.#ended.receivedBytes += bytes;
      },
      onSent: (bytes) => {
        this.#ended.sentBytes += bytes;
      },
      tell: teller(logger),
    };
    server.addService(rawService(BridgeService), {
      ...unaryCalls(parts),
      subscribe: (call: StreamingCall) => subscribe(parts, call),
      watchAgents: (call: StreamingCall) => watchAgents(parts, call),
      upload: (call: ServerReadableStream<Buffer, Buffer>, done: sendUnaryData<Buffer>) =>
        upload(parts, call, done),
      download: (call: StreamingCall) => download(parts, call),
      link: (call: ServerDuplexStream<Buffer, Buffer>) => link(parts, call),
    });
    server.addService(Health.definition, this.#health.implementation);
    server.addService(Reflection.definition, new Reflection([BridgeService]).implementation);
  }

  #accept(socket: Socket): void {
    if (this.#sockets.size >= this.#options.limits.connectionsMax || this.#injector === undefined) {
      this.#connectionsRefused++;
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => this.#sockets.delete(socket));
    this.#injector.injectConnection(socket);
  }

  #credentials(): ServerCredentials {
    const { tls } = this.#options;
    if (tls === undefined) return ServerCredentials.createInsecure();
    this.#stamp = stampOf(tls);
    const { cert, key, ca } = readServerTls(tls);
    const pair = { cert_chain: cert, private_key: key };
    return ServerCredentials.createSsl(ca ?? null, [pair], ca !== undefined);
  }

  /** A renewed certificate counts for connections from then on; one that can not be used changes nothing. */
  #look(tls: ServerTlsFiles): void {
    this.#timer = this.#options.clock.setTimer("bridge.certificates", LOOK_MS, () => {
      if (stampOf(tls) !== this.#stamp) this.#renew();
      this.#look(tls);
    });
  }

  #renew(): void {
    const { logger } = this.#options;
    try {
      this.#injector = this.#server?.createConnectionInjector(this.#credentials());
      logger.info("the bridge's certificate was renewed");
    } catch (error) {
      logger.error("the bridge's new certificate can not be used; the one before stays in force", {
        reason: error instanceof Error ? error.message : String(error),
      });
    }
  }
}
