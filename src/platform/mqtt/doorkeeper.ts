import type { Socket } from "node:net";
import type { Client } from "aedes";
import mqtt from "mqtt-packet";
import type { Refusal } from "../broker.ts";
import type { BrokerGate, BrokerRefusal, BrokerRights } from "../broker-gate.ts";
import type { Logger } from "../logger.ts";
import { certificateNameOf } from "./tls-listener.ts";

/** Aedes' own mark on a message that has been answered and goes no further. */
const ANSWERED = "_notAuthorized";

/** The parts of a PUBLISH that matter when it is refused. */
export interface RefusablePublish {
  readonly topic: string;
  readonly qos: number;
  readonly messageId?: number | undefined;
}

/** Stable code of the refusal of a message that is not permitted. */
export const NOT_PERMITTED = "mqtt.topic-not-permitted";

/** CONNACK return codes: unavailable, bad user name or password, not authorized; MQTT 5: 0x88, 0x86, 0x87. */
const RETURN_CODES: Readonly<Record<BrokerRefusal, 3 | 4 | 5>> = {
  "bad-credentials": 4,
  "not-authorized": 5,
  "too-many-attempts": 3,
  busy: 3,
};

/** A client tried what it may not; told to it, and counted, rather than logged each time. */
export class NotPermitted extends Error {
  override readonly name = "NotPermitted";
  /** For Aedes: the CONNACK return code of MQTT 3.1.1 (section 3.2.2.3). */
  readonly returnCode: 3 | 4 | 5;
  constructor(message: string, returnCode: 3 | 4 | 5 = RETURN_CODES["not-authorized"]) {
    super(message);
    this.returnCode = returnCode;
  }
}

/** What a {@link Doorkeeper} is made of. */
export interface DoorkeeperParts {
  readonly gate: BrokerGate | undefined;
  readonly logger: Logger;
  /** The connection below Aedes' own. */
  readonly socketOf: (client: Client) => Socket | undefined;
}

/**
 * Asks the gate whom to let in, and answers for each connection what it may do. Without a gate everybody
 * may do everything.
 */
export class Doorkeeper {
  readonly #gate: BrokerGate | undefined;
  readonly #logger: Logger;
  readonly #socketOf: DoorkeeperParts["socketOf"];
  readonly #rights = new WeakMap<Client, BrokerRights>();
  readonly #wills = new WeakMap<Client, string>();
  readonly #complained = new WeakSet<Client>();
  #refusedConnections = 0;
  #denied = 0;

  constructor({ gate, logger, socketOf }: DoorkeeperParts) {
    this.#gate = gate;
    this.#logger = logger;
    this.#socketOf = socketOf;
  }

  /** Connections turned away, and publishes and subscriptions denied, since the start. */
  get counts(): { refusedConnections: number; denied: number } {
    return { refusedConnections: this.#refusedConnections, denied: this.#denied };
  }

  /** Whether a client may publish there. Cheap; to be asked for each message, on every way in. */
  mayPublish(client: Client | null, topic: string): boolean {
    if (this.#gate === undefined || client === null) return true;
    return this.#rights.get(client)?.mayPublish(topic) ?? false;
  }

  /** Whether a client may subscribe; a refusal is counted. */
  maySubscribe(client: Client, filter: string): boolean {
    if (this.#gate === undefined) return true;
    const may = this.#rights.get(client)?.maySubscribe(filter) ?? false;
    if (!may) this.#deny(client, "MQTT subscription not permitted", { filter });
    return may;
  }

  /** Whether a client may read a message, which may have been queued for it under another user. */
  mayReceive(client: Client, topic: string): boolean {
    return this.#gate === undefined || (this.#rights.get(client)?.mayReceive(topic) ?? false);
  }

  /** Takes note of what a client wants said should its connection be lost; before it is admitted. */
  noteWill(client: Client, topic: string | undefined): void {
    if (topic !== undefined) this.#wills.set(client, topic);
  }

  /** Lets a client in. @returns why not */
  async admit(
    client: Client,
    username: string | undefined,
    password: Uint8Array | undefined,
  ): Promise<NotPermitted | undefined> {
    if (this.#gate === undefined) return undefined;
    const socket = this.#socketOf(client);
    const certificateName = socket && certificateNameOf(socket);
    const answer = await this.#gate.admit({
      clientId: client.id,
      address: socket?.remoteAddress ?? "",
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
      ...(certificateName === undefined ? {} : { certificateName }),
    });
    if (typeof answer === "string") return this.#turnAway(answer);
    const will = this.#wills.get(client);
    if (will !== undefined && !answer.mayPublish(will)) {
      this.#logger.warn("MQTT client refused: its will is not permitted", {
        clientId: client.id,
        user: answer.user,
        topic: will,
      });
      return this.#turnAway("not-authorized");
    }
    this.#rights.set(client, answer);
    return undefined;
  }

  /**
   * Takes note of a message that is not permitted, for a connection that refuses it by itself.
   * @returns what its publisher is told in as far as its version allows: with MQTT 3.1.1 it is thanked
   */
  deny(client: Client, topic: string): Refusal {
    this.#deny(client, "MQTT publish not permitted", { topic });
    return { code: NOT_PERMITTED, message: `publishing to ${topic} is not permitted` };
  }

  /**
   * Refuses a PUBLISH of Aedes' as Mosquitto does: MQTT 5 is told with reason code 0x87; MQTT 3.1.1 has no word for
   * it, so the message is acknowledged and dropped, since a client would send it again and again.
   * @param done of Aedes' `authorizePublish`
   */
  refusePublish(
    client: Client,
    packet: RefusablePublish & { [ANSWERED]?: boolean },
    done: (error?: Error | null) => void,
  ): void {
    const { message } = this.deny(client, packet.topic);
    if (client.version === 5) {
      done(new NotPermitted(message));
      return;
    }
    packet[ANSWERED] = true;
    const { messageId } = packet;
    if (messageId !== undefined && packet.qos > 0)
      mqtt.writeToStream({ cmd: packet.qos === 1 ? "puback" : "pubrec", messageId }, client.conn, {
        protocolVersion: 4,
      });
    done(null);
  }

  #turnAway(refusal: BrokerRefusal): NotPermitted {
    this.#refusedConnections++;
    return new NotPermitted(refusal, RETURN_CODES[refusal]);
  }

  #deny(client: Client, message: string, fields: Readonly<Record<string, unknown>>): void {
    this.#denied++;
    // Once per connection: a device that is not permitted something goes on trying.
    if (this.#complained.has(client)) return;
    this.#complained.add(client);
    const { user } = this.#rights.get(client) ?? {};
    this.#logger.warn(message, { clientId: client.id, user, ...fields });
  }
}
