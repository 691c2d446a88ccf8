import { connect, type Socket } from "node:net";
import mqttPacket, { type Packet } from "mqtt-packet";
import { until } from "./agent-process.ts";

/** What an MQTT client without manners got for it. */
export interface Answer {
  /** Names of the packets received, with their reason code where there is one: `puback 135`. */
  readonly packets: readonly string[];
  /** Whether the broker hung up. */
  readonly closed: boolean;
}

/** A connected MQTT 5 client, or anything else that can open a socket. */
export class RudeClient {
  readonly #socket: Socket;
  readonly #packets: string[] = [];
  #closed = false;

  private constructor(port: number) {
    const parser = mqttPacket.parser({ protocolVersion: 5 });
    this.#socket = connect({ port, host: "127.0.0.1", noDelay: true });
    this.#socket.on("error", () => undefined);
    this.#socket.on("close", () => {
      this.#closed = true;
    });
    this.#socket.on("data", (chunk) => parser.parse(chunk));
    parser.on("packet", (packet) => this.#packets.push(nameOf(packet)));
  }

  /** Opens a connection and says nothing. */
  static silent(port: number): RudeClient {
    return new RudeClient(port);
  }

  /** Opens a session as it should be. */
  static async connected(port: number, clientId = "rude"): Promise<RudeClient> {
    const client = new RudeClient(port);
    client.raw(connectPacket(clientId));
    await until("CONNACK", () => client.#packets.shift() === "connack 0");
    return client;
  }

  get closed(): boolean {
    return this.#closed;
  }

  send(packet: Packet): void {
    this.raw(mqttPacket.generate(packet, { protocolVersion: 5 }));
  }

  /** CONNECT with further bytes right behind it, in one write. */
  connectAnd(bytes: Uint8Array): void {
    this.raw(Buffer.concat([connectPacket("rude"), bytes]));
  }

  raw(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  /** Waits until there is an answer or the broker hung up. */
  async answer(): Promise<Answer> {
    await until("an answer", () => this.#packets.length > 0 || this.#closed);
    const packets = this.#packets.splice(0);
    return { packets, closed: this.#closed };
  }

  close(): void {
    this.#socket.destroy();
  }
}

function connectPacket(clientId: string): Buffer {
  const packet = {
    cmd: "connect",
    clientId,
    clean: true,
    keepalive: 0,
    protocolVersion: 5,
  } as const;
  return mqttPacket.generate(packet, { protocolVersion: 5 });
}

/** A PUBLISH with any bytes as topic; generators refuse to make such. */
export function rawPublish(topic: Uint8Array, payload: Uint8Array, flags = 0x02): Buffer {
  const body = Buffer.concat([
    Buffer.from([topic.length >> 8, topic.length & 0xff]),
    topic,
    // Packet identifier 1, no properties.
    Buffer.from([0, 1, 0]),
    payload,
  ]);
  const length: number[] = [];
  for (let rest = body.length; ; rest >>>= 7) {
    length.push(rest > 0x7f ? (rest & 0x7f) | 0x80 : rest);
    if (rest <= 0x7f) break;
  }
  return Buffer.concat([Buffer.from([0x30 | flags, ...length]), body]);
}

function nameOf(packet: Packet): string {
  const { cmd } = packet;
  const code = "reasonCode" in packet ? packet.reasonCode : undefined;
  return code === undefined ? cmd : `${cmd} ${code}`;
}
