import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import mqttPacket, { type Packet } from "mqtt-packet";

const IN_FLIGHT = 128;
const REDIAL_MS = 20;

/** What is published, and how. */
export interface PublisherOptions {
  /** Asked at every attempt to connect: an agent that starts again may be elsewhere. */
  readonly port: () => number;
  readonly protocolVersion: 4 | 5;
  /** Infinity: until it is told to stop. */
  readonly messages: number;
  readonly streams: number;
}

/**
 * A sensor gateway that does not give up: publishes the numbers from 0 with QoS 1, each to the topic
 * `sensors/line-{number modulo streams}`; after a broken connection it goes on with what was not acknowledged.
 */
export class RoadPublisher {
  readonly #options: PublisherOptions;
  readonly acknowledged: Set<number> = new Set();
  /** Numbers in flight by packet identifier. */
  readonly #sent = new Map<number, number>();
  #next = 0;
  #socket: Socket | undefined;
  #stopped = false;

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  /** Publishes until everything is acknowledged, or until it is told to stop. */
  async run(): Promise<void> {
    while (!this.#stopped && this.acknowledged.size < this.#options.messages) {
      await this.#session();
      await delay(REDIAL_MS);
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#socket?.destroy();
  }

  #session(): Promise<void> {
    const { protocolVersion } = this.#options;
    const parser = mqttPacket.parser({ protocolVersion });
    const socket = connect({ port: this.#options.port(), host: "127.0.0.1", noDelay: true });
    this.#socket = socket;
    this.#sent.clear();
    this.#next = 0;
    socket.write(
      mqttPacket.generate({
        cmd: "connect",
        clientId: "road-publisher",
        clean: true,
        keepalive: 0,
        protocolVersion,
      }),
    );
    parser.on("packet", (packet) => this.#take(socket, packet));
    socket.on("data", (chunk) => parser.parse(chunk));
    socket.on("error", () => undefined);
    return new Promise((done) => {
      socket.once("close", () => done());
    });
  }

  #take(socket: Socket, packet: Packet): void {
    if (packet.cmd === "puback") {
      const number = this.#sent.get(packet.messageId ?? 0);
      this.#sent.delete(packet.messageId ?? 0);
      if (number !== undefined && (packet.reasonCode ?? 0) < 128) this.acknowledged.add(number);
    }
    if (packet.cmd === "puback" || packet.cmd === "connack") this.#fill(socket);
    if (this.acknowledged.size === this.#options.messages) socket.end();
  }

  #fill(socket: Socket): void {
    const { messages, streams, protocolVersion } = this.#options;
    const batch: Buffer[] = [];
    for (; this.#next < messages && this.#sent.size < IN_FLIGHT; this.#next++) {
      const number = this.#next;
      if (this.acknowledged.has(number)) continue;
      const messageId = (number % 65_535) + 1;
      this.#sent.set(messageId, number);
      const packet: Packet = {
        cmd: "publish",
        topic: `sensors/line-${number % streams}`,
        payload: String(number),
        qos: 1,
        messageId,
        dup: false,
        retain: false,
      };
      batch.push(mqttPacket.generate(packet, { protocolVersion }));
    }
    if (batch.length > 0) socket.write(Buffer.concat(batch));
  }
}
