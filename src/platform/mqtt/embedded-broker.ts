import { createServer, type Server } from "node:net";
import { Aedes, type Client } from "aedes";
import type { Broker, BrokerStatus, InboundHandler } from "../broker.ts";
import type { Logger } from "../logger.ts";
import { coalesceWrites } from "./coalesce-writes.ts";

/** Settings of the broker that the agent itself runs. */
export interface EmbeddedBrokerOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly clientsMax: number;
  /** Largest packet; a bigger one ends its connection (MQTT 5: DISCONNECT 0x95). */
  readonly packetBytesMax: number;
  readonly logger: Logger;
}

const TCP_KEEPALIVE_MS = 60_000;

type PublishPacket = Parameters<Aedes["authorizePublish"]>[1];

/** The parts of Aedes that its own types leave out. */
interface AedesInternals {
  readonly persistence: {
    incomingGetPacket(client: Client, packet: PublishPacket): Promise<unknown>;
  };
}

/**
 * MQTT 5, 3.1.1 and 3.1 broker inside the agent. PUBACK and PUBREC are sent only after the handler settled,
 * and the handler settles after the disk did.
 */
export class EmbeddedBroker implements Broker {
  readonly #options: EmbeddedBrokerOptions;
  #aedes: (Aedes & AedesInternals) | undefined;
  #server: Server | undefined;
  #settling = 0;
  #idle: (() => void) | undefined;
  #port: number;

  constructor(options: EmbeddedBrokerOptions) {
    this.#options = options;
    this.#port = options.port;
  }

  async start(handler: InboundHandler): Promise<void> {
    const { packetBytesMax, clientsMax, logger } = this.#options;
    const aedes = new Aedes({
      maximumPacketSize: packetBytesMax,
      sessionExpiryIntervalLimit: 7 * 86_400,
      pendingSessionsLimit: 1_000,
      connectTimeout: 10_000,
      authorizePublish: (client, packet, done) => this.#take(handler, client, packet, done),
    }) as Aedes & AedesInternals;
    await aedes.listen();
    this.#aedes = aedes;
    aedes.on("clientError", (client, error) =>
      logger.warn("MQTT client failed", { clientId: client.id, reason: this.#explain(error) }),
    );
    aedes.on("connectionError", (client, error) =>
      logger.warn("MQTT connection failed", { clientId: client.id, reason: this.#explain(error) }),
    );
    // Clients may go without MQTT's own keepalive; TCP's finds out when one is gone for good.
    const options = { noDelay: true, keepAlive: true, keepAliveInitialDelay: TCP_KEEPALIVE_MS };
    const server = createServer(options, (socket) => {
      coalesceWrites(socket);
      aedes.handle(socket);
    });
    server.maxConnections = clientsMax;
    server.on("drop", () =>
      logger.warn("MQTT connection turned away: mqtt.broker.clientsMax is reached", { clientsMax }),
    );
    this.#server = server;
    try {
      await this.#listen(server);
    } catch (error) {
      await this.stop();
      throw error;
    }
    // Running out of file descriptors is no reason to end the agent.
    server.on("error", (error) => logger.error("MQTT listener failed", { reason: error.message }));
  }

  publish(message: Parameters<Broker["publish"]>[0]): Promise<void> {
    const { topic, payload, qos, retain } = message;
    return new Promise((resolve, reject) => {
      if (this.#aedes === undefined) {
        reject(new Error("the MQTT broker is not running"));
        return;
      }
      this.#aedes.publish(
        { cmd: "publish", topic, payload: Buffer.from(payload), qos, retain, dup: false },
        (error) => (error === undefined || error === null ? resolve() : reject(error)),
      );
    });
  }

  status(): BrokerStatus {
    const listening = this.#server?.listening === true;
    return {
      kind: "embedded",
      connected: listening,
      url: `mqtt://${this.#options.host}:${this.#port}`,
      clients: this.#aedes?.connectedClients ?? 0,
      ...(listening ? {} : { reason: "not listening" }),
    };
  }

  async stop(): Promise<void> {
    const server = this.#server;
    const aedes = this.#aedes;
    this.#server = undefined;
    this.#aedes = undefined;
    if (server === undefined || aedes === undefined) return;
    const closed = new Promise<void>((resolve) => {
      server.close(() => resolve());
    });
    if (this.#settling > 0)
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
    await new Promise<void>((resolve) => {
      aedes.close(resolve);
    });
    await closed;
  }

  #take(
    handler: InboundHandler,
    client: Client | null,
    packet: PublishPacket,
    done: (error?: Error | null) => void,
  ): void {
    const { topic, qos } = packet;
    // Stopping: what is not taken is not acknowledged either, and its publisher sends it again.
    if (this.#aedes === undefined) return;
    if (topic.startsWith("$")) {
      done(new Error("topics that begin with $ are the broker's own"));
      return;
    }
    const deliver = (): void => {
      this.#settling++;
      handler(
        {
          topic,
          payload: packet.payload as Buffer,
          qos,
          retain: packet.retain,
          clientId: client?.id ?? "",
          ...(packet.properties?.contentType === undefined
            ? {}
            : { contentType: packet.properties.contentType }),
        },
        (refusal) => {
          this.#settling--;
          if (this.#settling === 0) this.#idle?.();
          if (refusal === undefined) done(null);
          else done(new Error(`${refusal.code}: ${refusal.message}`));
        },
      );
    };
    if (qos !== 2 || client === null) {
      deliver();
      return;
    }
    // A QoS 2 publish that comes again before its PUBREL is the same message (MQTT 5 section 4.3.3).
    const deliverNew = async (): Promise<void> => {
      if (await this.#isRepeated(client, packet)) done(null);
      else deliver();
    };
    void deliverNew();
  }

  async #isRepeated(client: Client, packet: PublishPacket): Promise<boolean> {
    try {
      return (await this.#aedes?.persistence.incomingGetPacket(client, packet)) !== undefined;
    } catch {
      // Aedes' way of saying that it has no such packet.
      return false;
    }
  }

  #listen(server: Server): Promise<void> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      server.once("error", (error: Error & { code?: string }) => {
        reject(
          new Error(
            error.code === "EADDRINUSE"
              ? `MQTT port ${port} on ${host} is taken; set mqtt.broker.port (0: any free one), or mqtt.broker.embedded=false with mqtt.connect.url to use the broker that is there`
              : `can not listen for MQTT on ${host}:${port} (mqtt.broker.host, mqtt.broker.port): ${error.message}`,
            { cause: error },
          ),
        );
      });
      server.listen(port, host, () => {
        const address = server.address();
        if (address !== null && typeof address === "object") this.#port = address.port;
        resolve();
      });
    });
  }

  #explain(error: Error): string {
    return /packet.*too large|maximum packet/i.test(error.message)
      ? `${error.message}; mqtt.broker.packetBytesMax is ${this.#options.packetBytesMax}`
      : error.message;
  }
}
