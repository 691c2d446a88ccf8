import type { IPubackPacket } from "mqtt-packet";
import type { SendOutcome } from "../../uplink-connection.ts";
import type { MqttSession } from "../mqtt-session.ts";
import { isPermanent, reasonText } from "../reason-codes.ts";
import type { Outgoing } from "./edge-node.ts";
import { Settlements } from "./settlements.ts";

/** Publishes over one session, and finds out what has arrived. */
export class Delivery {
  readonly #session: MqttSession;
  readonly #qos: 0 | 1;
  readonly #settlements: Settlements;
  /** The PINGREQ under way, which proves that everything before it was read. */
  #ping: number | undefined;

  /**
   * @param qos of data
   * @param idsTaken packet identifiers up to here are used for something else
   */
  constructor(session: MqttSession, qos: 0 | 1, idsTaken: number) {
    this.#session = session;
    this.#qos = qos;
    this.#settlements = new Settlements(65_535, idsTaken);
  }

  /** Publishes a certificate or the agent's state, with QoS 0. */
  publish(message: Outgoing): void {
    this.#write(message, 0);
  }

  /** Publishes data; {@link prove} has to follow. */
  data(message: Outgoing, settle: (outcome: SendOutcome) => void): void {
    if (this.#qos === 1) this.#write(message, 1, this.#settlements.byId(settle));
    else {
      this.#settlements.byPong(settle);
      this.#write(message, 0);
    }
  }

  /** Asks for proof of what was published, one question at a time. */
  prove(): void {
    if (this.#ping !== undefined) return;
    this.#settlements.pingSent();
    this.#ping = this.#session.ping();
  }

  /** A PINGRESP came. @returns whether it was the proof that was waited for */
  heard(ordinal: number): boolean {
    if (this.#ping === undefined || ordinal < this.#ping) return false;
    this.#ping = undefined;
    this.#settlements.pongHeard();
    if (this.#settlements.awaitingPong) this.prove();
    return true;
  }

  acknowledged({ messageId, reasonCode, properties }: IPubackPacket): void {
    const settle = this.#settlements.take(messageId ?? 0);
    if (reasonCode === undefined || reasonCode < 128) settle?.({ kind: "acknowledged" });
    else
      settle?.({
        kind: "refused",
        permanent: isPermanent(reasonCode),
        reason: reasonText(reasonCode, properties?.reasonString),
      });
  }

  /** Nothing is settled any more. */
  close(): void {
    this.#settlements.clear();
  }

  #write({ topic, payload }: Outgoing, qos: 0 | 1, messageId?: number): void {
    this.#session.send({
      cmd: "publish",
      topic,
      payload: Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength),
      qos,
      dup: false,
      retain: false,
      ...(messageId === undefined ? {} : { messageId }),
    });
  }
}
