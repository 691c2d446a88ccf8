import { createServer, type Server, type Socket } from "node:net";
import type { Logger } from "../logger.ts";
import { type BrokerTlsOptions, TlsListener } from "./tls-listener.ts";

/** Where the embedded broker listens. */
export interface ListenerOptions {
  /** Whether to listen without TLS; by default so. */
  readonly plain?: boolean;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly tls?: BrokerTlsOptions | undefined;
  /** Connections at once, on each listener. */
  readonly clientsMax: number;
  readonly logger: Logger;
}

/** Address of one listener, and the setting that it comes from. */
interface Place {
  readonly host: string;
  readonly port: number;
  readonly setting: string;
}

const TCP_KEEPALIVE_MS = 60_000;
// Clients may go without MQTT's own keepalive; TCP's finds out when one is gone for good.
const SOCKET_OPTIONS = {
  noDelay: true,
  keepAlive: true,
  keepAliveInitialDelay: TCP_KEEPALIVE_MS,
};

/** The embedded broker's doors: plain MQTT, MQTT over TLS, or both. */
export class Listeners {
  readonly #options: ListenerOptions;
  readonly #accept: (socket: Socket) => void;
  readonly #servers: Server[] = [];
  #tls: TlsListener | undefined;
  #port: number;
  #tlsPort: number;

  constructor(options: ListenerOptions, accept: (socket: Socket) => void) {
    this.#options = options;
    this.#accept = accept;
    this.#port = options.port;
    this.#tlsPort = options.tls?.port ?? 0;
  }

  /** @throws Error naming the setting to change; {@link close} is due all the same */
  async open(): Promise<void> {
    const { plain = true, host, port, tls, logger } = this.#options;
    if (plain) {
      const server = createServer(SOCKET_OPTIONS, this.#accept);
      this.#port = await this.#listen(server, { host, port, setting: "mqtt.broker" });
    }
    if (tls !== undefined) {
      this.#tls = new TlsListener(tls, logger, this.#accept);
      const place = { host: tls.host, port: tls.port, setting: "mqtt.broker.tls" };
      this.#tlsPort = await this.#listen(this.#tls.server, place);
    }
  }

  /** Addresses for clients: `url` is the plain listener's, where there is one. */
  status(): { listening: boolean; url: string; tlsUrl?: string } {
    const { plain = true, host, tls } = this.#options;
    const listening = this.#servers.some((server) => server.listening);
    const url = `mqtt://${host}:${this.#port}`;
    if (tls === undefined) return { listening, url };
    const tlsUrl = `mqtts://${tls.host}:${this.#tlsPort}`;
    return { listening, url: plain ? url : tlsUrl, tlsUrl };
  }

  /** Lets nobody in any more, at once. Resolves when the last connection is gone. */
  async close(): Promise<void> {
    this.#tls?.stop();
    const closed = this.#servers.splice(0).map(
      (server) =>
        new Promise<void>((resolve) => {
          server.close(() => resolve());
        }),
    );
    await Promise.all(closed);
  }

  /** @returns the port taken. */
  async #listen(server: Server, place: Place): Promise<number> {
    const { logger, clientsMax } = this.#options;
    this.#servers.push(server);
    server.maxConnections = clientsMax;
    server.on("drop", () =>
      logger.warn("MQTT connection turned away: mqtt.broker.clientsMax is reached", { clientsMax }),
    );
    const port = await listen(server, place);
    // Running out of file descriptors is no reason to end the agent.
    server.on("error", (error) => logger.error("MQTT listener failed", { reason: error.message }));
    return port;
  }
}

/** @returns the port taken. @throws Error naming the setting to change. */
function listen(server: Server, { host, port, setting }: Place): Promise<number> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error & { code?: string }): void => {
      const text =
        error.code === "EADDRINUSE"
          ? `MQTT port ${port} on ${host} is taken; set ${setting}.port (0: any free one), or mqtt.broker.embedded=false with mqtt.connect.url to use the broker that is there`
          : `can not listen for MQTT on ${host}:${port} (${setting}.host, ${setting}.port): ${error.message}`;
      reject(new Error(text, { cause: error }));
    };
    server.once("error", failed);
    server.listen(port, host, () => {
      server.off("error", failed);
      const address = server.address();
      resolve(address !== null && typeof address === "object" ? address.port : port);
    });
  });
}
