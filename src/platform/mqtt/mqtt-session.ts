import type { Socket } from "node:net";
import mqttPacket, { type IConnackPacket, type IConnectPacket, type Packet } from "mqtt-packet";
import { describeDialError, dial, hostOf, type TlsFiles, wireBytesOf } from "../wire/dial.ts";
import { forgoNumberCache } from "./packet-numbers.ts";
import { PacketReader } from "./packet-reader.ts";
import type { EncodedPublish } from "./publish-encoder.ts";
import { connackReason, disconnectReason } from "./reason-codes.ts";
import { WriteBuffer } from "./write-buffer.ts";

const PUBACK = 4;
/** Twice the largest update (`outbox.updateBytesMax`); nothing that is meant for an agent is larger. */
const PACKET_BYTES_MAX = 32 * 1_024 * 1_024;

/** How to open an MQTT session. */
export interface SessionOptions {
  /** `mqtt://host:port` or `mqtts://host:port`. */
  readonly url: string;
  readonly clientId: string;
  readonly protocolVersion: 4 | 5;
  readonly clean: boolean;
  readonly keepaliveSeconds: number;
  readonly connectTimeoutMs: number;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly tls?: TlsFiles | undefined;
  readonly will?: IConnectPacket["will"];
  readonly properties?: IConnectPacket["properties"];
}

/** What a session tells its owner. `closed` comes exactly once, unless {@link MqttSession.end} was called. */
export interface SessionListener {
  connected(connack: IConnackPacket): void;
  packet(packet: Packet): void;
  /**
   * A PUBACK without a reason string, of which there is one for every update. Where this is absent it comes as a
   * packet. @param reasonCode 0 with MQTT 3.1.1
   */
  puback?(messageId: number, reasonCode: number): void;
  /** The answer to {@link MqttSession.ping}, under the number that it returned. */
  pong?(ordinal: number): void;
  closed(reason: string, refusedVersion: boolean): void;
}

/**
 * One MQTT connection as a client: CONNECT, keepalive, packets both ways. It has no queue, no retries and no
 * message store, since the outbox is all of these; it never throws after it was made.
 */
export class MqttSession {
  readonly #options: SessionOptions;
  readonly #listener: SessionListener;
  readonly #socket: Socket;
  readonly #writeOptions: { protocolVersion: 4 | 5 };
  #connected = false;
  #ended = false;
  #connectTimer: NodeJS.Timeout | undefined;
  #keepaliveTimer: NodeJS.Timeout | undefined;
  #heard = true;
  /** PINGREQ sent and PINGRESP received: answers come in order. */
  #pings = 0;
  #pongs = 0;
  readonly #out: WriteBuffer;
  readonly #parser: ReturnType<typeof mqttPacket.parser>;

  constructor(options: SessionOptions, listener: SessionListener) {
    forgoNumberCache();
    this.#options = options;
    this.#listener = listener;
    this.#writeOptions = { protocolVersion: options.protocolVersion };
    this.#parser = mqttPacket.parser(this.#writeOptions);
    this.#socket = openSocket(options);
    const secure = options.url.startsWith("mqtts:");
    this.#out = new WriteBuffer((chunk) => {
      if (this.#socket.writable) this.#socket.write(chunk);
    });
    this.#socket.setNoDelay(true);
    this.#socket.once(secure ? "secureConnect" : "connect", () => this.#introduce());
    this.#socket.on("error", (error) =>
      this.#close(describeDialError(error, options.url, "broker")),
    );
    this.#socket.on("close", () => this.#close("connection closed by the broker"));
    const reader = new PacketReader(
      {
        isPaused: () => this.#ended,
        packet: (data, start, body, end) => this.#read(data, start, body, end),
        unreadable: (why, bytes) =>
          this.#close(
            why === "malformed"
              ? "malformed packet: no packet begins like that"
              : `packet of ${bytes} bytes is over ${PACKET_BYTES_MAX}`,
          ),
      },
      PACKET_BYTES_MAX,
    );
    this.#parser.on("packet", (packet) => this.#receive(packet));
    this.#parser.on("error", (error: Error) => this.#close(`malformed packet: ${error.message}`));
    this.#socket.on("data", (chunk) => {
      this.#heard = true;
      if (!this.#ended) reader.push(chunk);
    });
    this.#connectTimer = setTimeout(
      () => this.#close(`no CONNACK within ${options.connectTimeoutMs} ms`),
      options.connectTimeoutMs,
    );
  }

  /** Bytes written to the socket and read from it so far. */
  get wireBytes(): number {
    return wireBytesOf(this.#socket);
  }

  /** Bytes read from the socket so far. */
  get receivedBytes(): number {
    return this.#socket.bytesRead;
  }

  /** Writes a packet; those of one turn of the event loop leave together. */
  send(packet: Packet): void {
    if (!this.#ended) this.#out.append(mqttPacket.generate(packet, this.#writeOptions));
  }

  /** Writes a packet that was encoded elsewhere. */
  sendEncoded(packet: EncodedPublish): void {
    if (this.#ended) return;
    const at = this.#out.reserve(packet.bytes);
    packet.write(this.#out.buffer, at);
  }

  /**
   * Asks for a PINGRESP. A broker reads one connection in order, so its answer proves that everything sent
   * before has been read. @returns the number under which the listener hears of it
   */
  ping(): number {
    this.send({ cmd: "pingreq" });
    return ++this.#pings;
  }

  /**
   * Says DISCONNECT and closes; `closed` is not called.
   * @param reasonCode MQTT 5 section 3.14.2.1: 4 has the will published all the same
   */
  end(reasonCode: 0 | 4 = 0): Promise<void> {
    if (this.#ended) return Promise.resolve();
    if (this.#connected) this.send({ cmd: "disconnect", reasonCode });
    this.#out.flush();
    this.#stop();
    return new Promise((resolve) => {
      if (this.#socket.destroyed) {
        resolve();
        return;
      }
      const giveUp = setTimeout(() => this.#socket.destroy(), 1_000);
      this.#socket.once("close", () => {
        clearTimeout(giveUp);
        resolve();
      });
      // The broker closes when it has read DISCONNECT; without a connection there is nobody to wait for.
      if (this.#connected) this.#socket.end();
      else this.#socket.destroy();
    });
  }

  #introduce(): void {
    const { clientId, protocolVersion, clean, keepaliveSeconds, username, password } =
      this.#options;
    const { will, properties } = this.#options;
    this.send({
      cmd: "connect",
      protocolId: "MQTT",
      protocolVersion,
      clientId,
      clean,
      keepalive: keepaliveSeconds,
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password: Buffer.from(password) }),
      ...(will === undefined ? {} : { will }),
      ...(properties === undefined || protocolVersion === 4 ? {} : { properties }),
    });
  }

  #read(data: Buffer, start: number, body: number, end: number): void {
    const type = (data[start] ?? 0) >> 4;
    const listener = this.#listener;
    const bytes = end - body;
    if (type === PUBACK && (bytes === 2 || bytes === 3) && listener.puback !== undefined)
      listener.puback(data.readUInt16BE(body), bytes === 3 ? (data[body + 2] ?? 0) : 0);
    else this.#parser.parse(data.subarray(start, end));
  }

  #receive(packet: Packet): void {
    if (this.#ended) return;
    if (packet.cmd === "connack" && this.#connected)
      this.#close("protocol error: the broker sent CONNACK twice");
    else if (packet.cmd === "connack") this.#welcome(packet);
    else if (packet.cmd === "disconnect") this.#close(disconnectReason(packet));
    else if (packet.cmd === "pingresp") this.#listener.pong?.(++this.#pongs);
    else this.#listener.packet(packet);
  }

  #welcome(connack: IConnackPacket): void {
    clearTimeout(this.#connectTimer);
    const refusal = connackReason(connack);
    if (refusal !== undefined) {
      this.#close(refusal.reason, refusal.unsupportedVersion);
      return;
    }
    this.#connected = true;
    const keepaliveSeconds = connack.properties?.serverKeepAlive ?? this.#options.keepaliveSeconds;
    if (keepaliveSeconds > 0) this.#keepAlive(keepaliveSeconds * 1_000);
    this.#listener.connected(connack);
  }

  /** A link that was cut silently shows only by what no longer comes: ask, and hang up if nobody answers. */
  #keepAlive(intervalMs: number): void {
    this.#keepaliveTimer = setInterval(() => {
      if (!this.#heard) {
        this.#close(`broker silent for ${intervalMs / 1_000} s (keepalive)`);
        return;
      }
      this.#heard = false;
      this.ping();
    }, intervalMs);
  }

  #stop(): void {
    this.#ended = true;
    clearTimeout(this.#connectTimer);
    clearInterval(this.#keepaliveTimer);
  }

  #close(reason: string, refusedVersion = false): void {
    if (this.#ended) return;
    this.#stop();
    this.#socket.destroy();
    this.#listener.closed(reason, refusedVersion);
  }
}

/** @throws Error when a TLS file can not be read. */
function openSocket({ url, tls }: SessionOptions): Socket {
  const { port, protocol } = new URL(url);
  const secure = protocol === "mqtts:";
  return dial({ host: hostOf(url), port: Number(port || (secure ? 8883 : 1883)), secure, tls });
}
