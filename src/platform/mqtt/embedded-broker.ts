import type { Socket } from "node:net";
import type { Client } from "aedes";
import type { Broker, BrokerStatus, InboundHandler } from "../broker.ts";
import type { BrokerGate } from "../broker-gate.ts";
import { deliverOnceEach } from "./aedes-corrections.ts";
import type { AedesClient, AedesInternals } from "./aedes-internals.ts";
import { openAedes } from "./aedes-setup.ts";
import { BrokerState, type BrokerStateParts } from "./broker-state/broker-state.ts";
import type { Will } from "./broker-state/wills.ts";
import { ClientConnection, type ConnectionLimits } from "./client-connection.ts";
import { Doorkeeper, NOT_PERMITTED } from "./doorkeeper.ts";
import { Inbox } from "./inbox.ts";
import { type ListenerOptions, Listeners } from "./listeners.ts";
import { QuietTopics } from "./quiet-topics.ts";

/** Settings of the broker that the agent itself runs; they are those of `mqtt.broker`. */
export interface EmbeddedBrokerOptions extends ListenerOptions, ConnectionLimits {
  /** Decides who may do what; without one everybody may do everything. */
  readonly gate?: BrokerGate | undefined;
  /** Where sessions, retained messages and wills outlive the process; without it they do not. */
  readonly memory?: Omit<BrokerStateParts, "logger" | "maySubscribe">;
}

const SESSION_EXPIRY_SECONDS_MAX = 7 * 86_400;
const SESSIONS_MAX = 1_000;

/** What there is while the broker runs. */
interface Running {
  readonly aedes: AedesInternals;
  readonly inbox: Inbox;
  /** Grows with every message that is handed to subscribers. */
  readonly emissions: () => number;
}

/**
 * MQTT 5, 3.1.1 and 3.1 broker inside the agent. PUBACK and PUBREC are sent only after the handler settled,
 * and the handler settles after the disk did. Readings go from socket to handler without a detour
 * ({@link ClientConnection}, {@link Inbox}); subscriptions, QoS 2 and local delivery are Aedes', what outlives
 * a connection is in {@link BrokerState}.
 */
export class EmbeddedBroker implements Broker {
  readonly #options: EmbeddedBrokerOptions;
  readonly #listeners: Listeners;
  readonly #door: Doorkeeper;
  readonly #connections = new WeakMap<Client, ClientConnection>();
  #state: BrokerState | undefined;
  #running: Running | undefined;
  #undelivered = 0;

  constructor(options: EmbeddedBrokerOptions) {
    const { gate, logger } = options;
    this.#options = options;
    this.#listeners = new Listeners(options, (socket) => this.#accept(socket));
    this.#door = new Doorkeeper({
      gate,
      logger,
      socketOf: (client) => this.#connections.get(client)?.socket,
    });
  }

  async start(handler: InboundHandler): Promise<void> {
    const { packetBytesMax, receiveMaximum, memory, logger } = this.#options;
    const door = this.#door;
    const state =
      memory &&
      new BrokerState({
        ...memory,
        logger,
        maySubscribe: (client, filter) => door.maySubscribe(client as Client, filter),
      });
    const { aedes, bus } = await openAedes({
      packetBytesMax,
      receiveMaximum,
      sessionExpirySecondsMax: memory?.limits.sessionExpirySecondsMax ?? SESSION_EXPIRY_SECONDS_MAX,
      sessionsMax: memory?.limits.sessionsMax ?? SESSIONS_MAX,
      state,
      door,
      logger,
      take: (client, packet, done) => this.#running?.inbox.takeFromAedes(client, packet, done),
      admitted: (client) => this.#connections.get(client)?.admitted(),
      fault: (client, reason) => this.#fault(client, reason),
    });
    const quiet = new QuietTopics({
      generation: () => bus.generation + (state?.generation ?? 0),
      hasListener: (topic) => bus.hasListener(topic),
      hasSession: async (topic) => (await aedes.persistence.subscriptionsByTopic(topic)).length > 0,
    });
    const inbox = new Inbox({ aedes, quiet, state, door, handler });
    this.#state = state;
    this.#running = { aedes, inbox, emissions: () => bus.emissions };
    state?.publishLeftWills((will) => this.#publishLeftWill(inbox, will));
    try {
      await this.#listeners.open();
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  publish(message: Parameters<Broker["publish"]>[0]): Promise<void> {
    const { topic, payload, qos, retain } = message;
    return new Promise((resolve, reject) => {
      if (this.#running === undefined) {
        reject(new Error("the MQTT broker is not running"));
        return;
      }
      this.#running.aedes.publish(
        { cmd: "publish", topic, payload: Buffer.from(payload), qos, retain, dup: false },
        (error) => (error === undefined || error === null ? resolve() : reject(error)),
      );
    });
  }

  status(): BrokerStatus {
    const { listening, ...urls } = this.#listeners.status();
    return {
      kind: "embedded",
      connected: listening,
      ...urls,
      clients: this.#running?.aedes.connectedClients ?? 0,
      undelivered: this.#undelivered,
      ...this.#door.counts,
      ...(this.#state === undefined ? {} : { remembered: this.#state.use() }),
      ...(listening ? {} : { reason: "not listening" }),
    };
  }

  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    if (running === undefined) return;
    const closed = this.#listeners.close();
    await running.inbox.close();
    await new Promise<void>((resolve) => {
      running.aedes.close(resolve);
    });
    await closed;
    await this.#state?.destroy();
  }

  #accept(socket: Socket): void {
    if (this.#running === undefined) {
      socket.destroy();
      return;
    }
    const { aedes, inbox, emissions } = this.#running;
    const connection = new ClientConnection(
      socket,
      {
        attach: (link) => {
          const client = aedes.handle(link) as AedesClient;
          deliverOnceEach(client, aedes.id, emissions);
          return client;
        },
        publish: (client, message, settle) => inbox.take(client, message, settle),
        refused: (client, { code, message }) => {
          // The doorkeeper tells that, once per connection.
          if (code !== NOT_PERMITTED) this.#fault(client, `${code}: ${message}`);
        },
        fault: (client, reason) => this.#fault(client, reason),
        undelivered: () => {
          this.#undelivered++;
        },
      },
      this.#options,
    );
    this.#connections.set(connection.client, connection);
  }

  #publishLeftWill(inbox: Inbox, will: Will): void {
    inbox.takeLeftWill(will).catch((error: unknown) =>
      this.#options.logger.warn("a will could not be published; it waits for the next start", {
        clientId: will.clientId,
        topic: will.topic,
        reason: error instanceof Error ? error.message : String(error),
      }),
    );
  }

  #fault(client: Client, message: string): void {
    const reason = /packet.*too large|maximum packet/i.test(message)
      ? `${message}; mqtt.broker.packetBytesMax is ${this.#options.packetBytesMax}`
      : message;
    this.#options.logger.warn("MQTT client failed", { clientId: client.id, reason });
  }
}
