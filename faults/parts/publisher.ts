import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import mqttPacket, { type Packet } from "mqtt-packet";

const IN_FLIGHT = 128;
const REDIAL_MS = 10;

/** What a run publishes. */
export interface Traffic {
  readonly protocolVersion: 4 | 5;
  readonly qos: 1 | 2;
  readonly streams: number;
  /** Messages sent at once, and the pause between. */
  readonly burst: number;
  readonly pauseMs: number;
  readonly payloadBytesMax: number;
}

/** The payload that carries this number; its size and content follow from the number. */
export function payloadOf(number: number, traffic: Traffic): string {
  const bytes = (number * 7_919) % traffic.payloadBytesMax;
  return `${number} `.padEnd(bytes, `${number.toString(36)}.`);
}

/**
 * Publishes numbers from 0 until it is told to stop; what was not acknowledged is sent again after a broken
 * connection, as a sensor gateway would.
 */
export class Publisher {
  readonly traffic: Traffic;
  readonly acknowledged: Set<number> = new Set();
  /** Times that each number was sent. */
  readonly sends: Map<number, number> = new Map();
  /** Messages that the agent said it does not take. */
  refusals = 0;
  readonly #port: () => number;
  readonly #unacknowledged = new Set<number>();
  readonly #sent = new Map<number, number>();
  #next = 0;
  #messageId = 0;
  #socket: Socket | undefined;
  #ready = false;
  #stopped = false;
  #running: Promise<void> | undefined;

  /** @param port asked at every attempt: an agent that starts again may be elsewhere; 0: nowhere */
  constructor(traffic: Traffic, port: () => number) {
    this.traffic = traffic;
    this.#port = port;
  }

  start(): void {
    this.#running = Promise.all([this.#dial(), this.#feed()]).then(() => undefined);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#socket?.destroy();
    await this.#running;
  }

  async #dial(): Promise<void> {
    while (!this.#stopped) {
      if (this.#port() !== 0) await this.#session();
      await delay(REDIAL_MS);
    }
  }

  async #feed(): Promise<void> {
    while (!this.#stopped) {
      if (this.#ready) this.#send(this.traffic.burst);
      await delay(this.traffic.pauseMs);
    }
  }

  #session(): Promise<void> {
    const { protocolVersion } = this.traffic;
    const parser = mqttPacket.parser({ protocolVersion });
    const socket = connect({ port: this.#port(), host: "127.0.0.1", noDelay: true });
    this.#socket = socket;
    this.#sent.clear();
    const hello: Packet = {
      cmd: "connect",
      clientId: "publisher",
      clean: true,
      keepalive: 0,
      protocolVersion,
    };
    socket.write(mqttPacket.generate(hello));
    parser.on("packet", (packet) => this.#take(socket, packet));
    parser.on("error", () => socket.destroy());
    socket.on("data", (chunk) => parser.parse(chunk));
    socket.on("error", () => undefined);
    return new Promise((done) => {
      socket.once("close", () => {
        this.#ready = false;
        done();
      });
    });
  }

  #take(socket: Socket, packet: Packet): void {
    if (packet.cmd === "connack") {
      this.#ready = true;
      this.#resend();
    } else if (packet.cmd === "puback") this.#answered(packet.messageId, packet.reasonCode);
    else if (packet.cmd === "pubrec") {
      const { messageId } = packet;
      this.#answered(messageId, packet.reasonCode);
      if ((packet.reasonCode ?? 0) < 128 && messageId !== undefined)
        this.#write(socket, { cmd: "pubrel", messageId });
    }
  }

  #answered(messageId: number | undefined, reasonCode: number | undefined): void {
    const number = this.#sent.get(messageId ?? 0);
    this.#sent.delete(messageId ?? 0);
    if (number === undefined) return;
    if ((reasonCode ?? 0) >= 128) {
      this.refusals++;
      return;
    }
    this.acknowledged.add(number);
    this.#unacknowledged.delete(number);
  }

  #resend(): void {
    for (const number of [...this.#unacknowledged].slice(0, IN_FLIGHT)) this.#publish(number);
  }

  #send(count: number): void {
    for (let sent = 0; sent < count && this.#sent.size < IN_FLIGHT; sent++) {
      this.#unacknowledged.add(this.#next);
      this.#publish(this.#next++);
    }
  }

  #publish(number: number): void {
    const { qos, streams } = this.traffic;
    this.#messageId = (this.#messageId % 65_535) + 1;
    this.#sent.set(this.#messageId, number);
    this.sends.set(number, (this.sends.get(number) ?? 0) + 1);
    if (this.#socket === undefined) return;
    this.#write(this.#socket, {
      cmd: "publish",
      topic: `sensors/line-${number % streams}`,
      payload: payloadOf(number, this.traffic),
      qos,
      messageId: this.#messageId,
      dup: false,
      retain: false,
    });
  }

  #write(socket: Socket, packet: Packet): void {
    const { protocolVersion } = this.traffic;
    if (socket.writable) socket.write(mqttPacket.generate(packet, { protocolVersion }));
  }
}
