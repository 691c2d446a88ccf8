import type { Client } from "aedes";
import type { InboundHandler, Refusal } from "../broker.ts";
import { dropWillDelay } from "./aedes-corrections.ts";
import type { AedesInternals, AedesPacket } from "./aedes-internals.ts";
import type { BrokerState } from "./broker-state/broker-state.ts";
import type { Will } from "./broker-state/wills.ts";
import type { ClientMessage } from "./client-connection.ts";
import type { Doorkeeper } from "./doorkeeper.ts";
import type { QuietTopics } from "./quiet-topics.ts";

type Settle = (refusal?: Refusal) => void;

/** What an {@link Inbox} is made of. */
export interface InboxParts {
  readonly aedes: AedesInternals;
  readonly quiet: QuietTopics;
  readonly state: BrokerState | undefined;
  readonly door: Doorkeeper;
  readonly handler: InboundHandler;
}

/**
 * The way of a message into the broker, whichever road it came by: permitted, taken by the handler, kept for
 * sessions and as retained, passed on to who listens here, and only then acknowledged.
 */
export class Inbox {
  readonly #parts: InboxParts;
  /** Clients with messages that wait for the state's disk; what follows waits its turn. */
  readonly #turns = new WeakMap<Client, Promise<void>>();
  #settling = 0;
  #closed = false;
  #idle: (() => void) | undefined;

  constructor(parts: InboxParts) {
    this.#parts = parts;
  }

  /** Takes a message with QoS 0 or 1 that a connection read by itself. */
  take(client: Client, message: ClientMessage, settle: Settle): void {
    const { door, quiet } = this.#parts;
    const { topic, retain } = message;
    if (reserved(topic)) {
      settle({ code: "mqtt.topic-reserved", message: "topics below $SYS are the broker's own" });
      return;
    }
    if (!door.mayPublish(client, topic)) {
      settle(door.deny(client, topic));
      return;
    }
    this.#ask(message, settle, () => {
      // What nobody hears has no order either.
      if (!retain && quiet.isQuiet(topic)) this.#settled(settle);
      else this.#passOn(client, packetOf(message), (fault) => this.#settled(settle, fault));
    });
  }

  /** Takes what came by way of Aedes, which delivers it after `done`: QoS 2 messages, and wills. */
  takeFromAedes(
    client: Client | null,
    packet: AedesPacket,
    done: (error?: Error | null) => void,
  ): void {
    const { door } = this.#parts;
    const { topic, qos } = packet;
    dropWillDelay(packet);
    if (reserved(topic)) {
      done(new Error("topics below $SYS are the broker's own"));
      return;
    }
    if (client !== null && !door.mayPublish(client, topic)) {
      door.refusePublish(client, packet, done);
      return;
    }
    const settle = (refusal?: Refusal): void =>
      done(refusal === undefined ? null : new Error(`${refusal.code}: ${refusal.message}`));
    const take = (): void =>
      this.#ask(messageOf(packet, client), settle, () =>
        this.#inTurn(client, packet, (fault) => {
          this.#settled(settle, fault);
          return undefined;
        }),
      );
    if (qos !== 2 || client === null) {
      take();
      return;
    }
    // A QoS 2 publish that comes again before its PUBREL is the same message (MQTT 5 section 4.3.3).
    const takeNew = async (): Promise<void> => {
      if (await this.#isRepeated(client, packet)) done(null);
      else take();
    };
    void takeNew();
  }

  /**
   * Publishes a will of an earlier run of the broker. It stays on disk until that is done.
   * @throws Error why it could not be published
   */
  async takeLeftWill(will: Will): Promise<void> {
    const { aedes, state } = this.#parts;
    const packet = { ...will, cmd: "publish", dup: false } as AedesPacket;
    await settled((done) => this.takeFromAedes(null, packet, done));
    await settled((done) => aedes.publish(packet, done));
    await state?.delWill({ id: will.clientId });
  }

  /** Takes nothing more. Resolves when all that was taken is settled. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#settling === 0) return;
    await new Promise<void>((resolve) => {
      this.#idle = resolve;
    });
  }

  /**
   * Asks the handler, then has what was taken passed on; that has to end by settling the message.
   * @param settle called once, at the end or with why the message was refused
   */
  #ask(message: ClientMessage, settle: Settle, passOn: () => void): void {
    // Stopping: what is not taken is not acknowledged either, and its publisher sends it again.
    if (this.#closed) return;
    this.#settling++;
    this.#parts.handler(message, (refusal) => {
      if (refusal === undefined) passOn();
      else this.#settled(settle, refusal);
    });
  }

  #settled(settle: Settle, refusal?: Refusal): void {
    this.#settling--;
    settle(refusal);
    if (this.#settling === 0) this.#idle?.();
  }

  /** To sessions, local subscribers and retained messages. */
  #passOn(client: Client, packet: AedesPacket, taken: Settle): void {
    this.#inTurn(client, packet, (fault) => {
      if (fault !== undefined) {
        taken(fault);
        return undefined;
      }
      const passedOn = Promise.withResolvers<void>();
      this.#parts.aedes.publish(packet, client, (error) => {
        if (error === undefined || error === null) taken();
        else taken({ code: "mqtt.delivery-failed", message: error.message });
        passedOn.resolve();
      });
      return passedOn.promise;
    });
  }

  /**
   * Keeps a QoS 1 or 2 message for sessions and as retained before its publisher is thanked: Aedes itself
   * would only see to it after PUBACK. The handler was asked first, so that what it refuses, which comes
   * again and again, is not kept again and again. Messages of one client go on in the order they came.
   * @param next called once, at once if there is nothing to wait for; what it returns, those behind wait for
   */
  #inTurn(
    client: Client | null,
    packet: AedesPacket,
    next: (fault?: Refusal) => Promise<void> | undefined,
  ): void {
    const { state } = this.#parts;
    const before = client === null ? undefined : this.#turns.get(client);
    const kept =
      packet.qos > 0 && state?.concerns(packet.topic, packet.retain) === true
        ? state.keep(packet, client?.id).then(() => undefined, asRefusal)
        : undefined;
    if (before === undefined && kept === undefined) {
      void next();
      return;
    }
    const run = async (): Promise<void> => {
      await before;
      await next(await kept);
    };
    const turn = run();
    if (client === null) return;
    this.#turns.set(client, turn);
    void turn.finally(() => {
      if (this.#turns.get(client) === turn) this.#turns.delete(client);
    });
  }

  async #isRepeated(client: Client, packet: AedesPacket): Promise<boolean> {
    try {
      return (await this.#parts.aedes.persistence.incomingGetPacket(client, packet)) !== undefined;
    } catch {
      // Aedes' way of saying that it has no such packet.
      return false;
    }
  }
}

/** MQTT 5 section 4.7.2: other topics that begin with `$` are merely hidden from wildcards. */
function reserved(topic: string): boolean {
  return topic === "$SYS" || topic.startsWith("$SYS/");
}

function asRefusal(error: unknown): Refusal {
  const message = error instanceof Error ? error.message : String(error);
  return { code: "broker.store-failed", message };
}

function packetOf({ topic, payload, qos, retain, properties }: ClientMessage): AedesPacket {
  return {
    cmd: "publish",
    topic,
    // What is kept for later must not keep the whole of what was read from the socket.
    payload: Buffer.from(payload),
    qos,
    retain,
    dup: false,
    ...(properties === undefined ? {} : { properties }),
  };
}

function messageOf(packet: AedesPacket, client: Client | null): ClientMessage {
  const { topic, qos, retain, properties } = packet;
  return {
    topic,
    payload: packet.payload as Buffer,
    qos,
    retain,
    clientId: client?.id ?? "",
    ...(properties?.contentType === undefined ? {} : { contentType: properties.contentType }),
  };
}

/** Waits for a callback. */
function settled(call: (done: (error?: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    call((error) => (error ? reject(error) : resolve()));
  });
}
