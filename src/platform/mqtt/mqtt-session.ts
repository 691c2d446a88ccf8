import { readFileSync } from "node:fs";
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import mqttPacket, { type IConnackPacket, type IConnectPacket, type Packet } from "mqtt-packet";
import type { EncodedPublish } from "./publish-encoder.ts";
import { connackReason, disconnectReason } from "./reason-codes.ts";
import { WriteBuffer } from "./write-buffer.ts";

/** Paths of PEM files; what is absent is the system's default or not used. */
export interface TlsFiles {
  readonly caFile?: string | undefined;
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  /** Name to verify, where it differs from the URL's host. */
  readonly serverName?: string | undefined;
}

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
  readonly #out: WriteBuffer;

  constructor(options: SessionOptions, listener: SessionListener) {
    this.#options = options;
    this.#listener = listener;
    this.#writeOptions = { protocolVersion: options.protocolVersion };
    this.#socket = openSocket(options);
    const secure = options.url.startsWith("mqtts:");
    this.#out = new WriteBuffer((chunk) => {
      if (this.#socket.writable) this.#socket.write(chunk);
    });
    this.#socket.setNoDelay(true);
    this.#socket.once(secure ? "secureConnect" : "connect", () => this.#introduce());
    this.#socket.on("error", (error) => this.#close(describe(error, options)));
    this.#socket.on("close", () => this.#close("connection closed by the broker"));
    const parser = mqttPacket.parser(this.#writeOptions);
    parser.on("packet", (packet) => this.#receive(packet));
    parser.on("error", (error: Error) => this.#close(`malformed packet: ${error.message}`));
    this.#socket.on("data", (chunk) => {
      this.#heard = true;
      if (!this.#ended) parser.parse(chunk);
    });
    this.#connectTimer = setTimeout(
      () => this.#close(`no CONNACK within ${options.connectTimeoutMs} ms`),
      options.connectTimeoutMs,
    );
  }

  /** Bytes written to the socket so far. */
  get sentBytes(): number {
    return this.#socket.bytesWritten;
  }

  /** Writes a packet; those of one turn of the event loop leave together. */
  send(packet: Packet): void {
    if (!this.#ended) this.#out.append(mqttPacket.generate(packet, this.#writeOptions));
  }

  /** Writes a packet that was encoded elsewhere. */
  sendEncoded(packet: EncodedPublish): void {
    if (!this.#ended) this.#out.fill(packet.bytes, (buffer, at) => packet.write(buffer, at));
  }

  /** Says DISCONNECT and closes; `closed` is not called. */
  end(): Promise<void> {
    if (this.#ended) return Promise.resolve();
    if (this.#connected) this.send({ cmd: "disconnect", reasonCode: 0 });
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

  #receive(packet: Packet): void {
    if (this.#ended) return;
    if (packet.cmd === "connack" && this.#connected)
      this.#close("protocol error: the broker sent CONNACK twice");
    else if (packet.cmd === "connack") this.#welcome(packet);
    else if (packet.cmd === "disconnect") this.#close(disconnectReason(packet));
    else if (packet.cmd !== "pingresp") this.#listener.packet(packet);
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
      this.send({ cmd: "pingreq" });
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
  const { hostname, port, protocol } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, "");
  if (protocol !== "mqtts:") return connectTcp({ host, port: Number(port || 1883) });
  const options: ConnectionOptions = {
    host,
    port: Number(port || 8883),
    // RFC 6066 section 3: an address is not a server name; it is verified all the same.
    ...(tls?.serverName === undefined
      ? isIP(host) === 0 && { servername: host }
      : { servername: tls.serverName }),
    ...(tls?.caFile === undefined ? {} : { ca: readPem(tls.caFile, "tls.caFile") }),
    ...(tls?.certFile === undefined ? {} : { cert: readPem(tls.certFile, "tls.certFile") }),
    ...(tls?.keyFile === undefined ? {} : { key: readPem(tls.keyFile, "tls.keyFile") }),
  };
  return connectTls(options);
}

function readPem(path: string, setting: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`${setting}: can not read ${path} (${reason})`, { cause: error });
  }
}

const UNKNOWN_AUTHORITY = new Set([
  "SELF_SIGNED_CERT_IN_CHAIN",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
]);

function describe(error: Error & { code?: string }, { url }: SessionOptions): string {
  const { host } = new URL(url);
  const code = error.code ?? "";
  if (code === "ECONNREFUSED") return `nobody listens at ${host} (connection refused)`;
  if (code === "ENOTFOUND" || code === "EAI_AGAIN")
    return `the name in ${host} can not be resolved (${code})`;
  if (UNKNOWN_AUTHORITY.has(code))
    return `the broker's certificate is not signed by a known authority (${code}); set tls.caFile`;
  return error.message;
}
