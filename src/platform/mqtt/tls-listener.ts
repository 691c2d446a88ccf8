import { readFileSync, statSync } from "node:fs";
import type { Socket } from "node:net";
import {
  createSecureContext,
  createServer,
  type PeerCertificate,
  type Server,
  type TLSSocket,
} from "node:tls";
import type { Clock, Timer } from "../clock.ts";
import type { Logger } from "../logger.ts";

/** Settings of the broker's TLS listener. */
export interface BrokerTlsOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly certFile: string;
  readonly keyFile: string;
  /** Authority whose certificates clients may show. */
  readonly caFile?: string | undefined;
  readonly requireClientCertificate: boolean;
  /** Paces the looks at the files. */
  readonly clock: Clock;
}

const SETTING = "mqtt.broker.tls";
const LOOK_MS = 10_000;
const HANDSHAKE_MS = 10_000;

interface Certificates {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca?: Buffer;
}

/**
 * Takes MQTT connections over TLS 1.2 and 1.3. The files are looked at every ten seconds; a renewed
 * certificate counts for connections from then on, and one that can not be used leaves the old in force.
 */
export class TlsListener {
  readonly #options: BrokerTlsOptions;
  readonly #logger: Logger;
  readonly #server: Server;
  #seen: string;
  #timer: Timer | undefined;

  /** @throws Error naming the setting whose file can not be used */
  constructor(options: BrokerTlsOptions, logger: Logger, handle: (socket: TLSSocket) => void) {
    this.#options = options;
    this.#logger = logger;
    this.#seen = stampOf(options);
    this.#server = createServer(
      {
        ...readCertificates(options),
        minVersion: "TLSv1.2",
        requestCert: options.caFile !== undefined,
        rejectUnauthorized: options.requireClientCertificate,
        handshakeTimeout: HANDSHAKE_MS,
        noDelay: true,
        keepAlive: true,
      },
      handle,
    );
    this.#server.on("tlsClientError", (error, socket) =>
      logger.warn("MQTT connection failed in the TLS handshake", {
        address: socket.remoteAddress,
        reason: error.message,
      }),
    );
    this.#look();
  }

  get server(): Server {
    return this.#server;
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #look(): void {
    this.#timer = this.#options.clock.setTimer("mqtt.certificates", LOOK_MS, () => {
      this.#renew();
      this.#look();
    });
  }

  #renew(): void {
    const stamp = stampOf(this.#options);
    if (stamp === this.#seen) return;
    this.#seen = stamp;
    try {
      this.#server.setSecureContext({
        ...readCertificates(this.#options),
        minVersion: "TLSv1.2",
      });
      this.#logger.info("MQTT certificate renewed", { certFile: this.#options.certFile });
    } catch (error) {
      this.#logger.error("new MQTT certificate can not be used; the one before stays in force", {
        reason: error instanceof Error ? error.message : String(error),
      });
    }
  }
}

/** @returns the common name of the certificate that the client proved to hold, if any. */
export function certificateNameOf(socket: Socket): string | undefined {
  if (!("authorized" in socket)) return undefined;
  const tls = socket as TLSSocket;
  if (!tls.authorized) return undefined;
  // Without a certificate Node gives an empty object, whatever its types say.
  const { subject } = tls.getPeerCertificate() as Partial<PeerCertificate>;
  const name = subject?.CN;
  return typeof name === "string" && name !== "" ? name : undefined;
}

function readCertificates(options: BrokerTlsOptions): Certificates {
  const read = (name: "certFile" | "keyFile" | "caFile", path: string): Buffer => {
    try {
      return readFileSync(path);
    } catch (error) {
      throw new Error(`${SETTING}.${name}: can not read ${path}: ${reason(error)}`, {
        cause: error,
      });
    }
  };
  const cert = read("certFile", options.certFile);
  const key = read("keyFile", options.keyFile);
  const ca = options.caFile === undefined ? undefined : read("caFile", options.caFile);
  check(`${SETTING}.certFile: ${options.certFile} holds no PEM certificate`, { cert });
  check(`${SETTING}.keyFile: ${options.keyFile} holds no PEM key without a passphrase`, { key });
  check(`${SETTING}.keyFile: the key does not belong to the certificate in certFile`, {
    cert,
    key,
  });
  if (ca === undefined) return { cert, key };
  check(`${SETTING}.caFile: ${options.caFile} holds no PEM certificate`, { ca });
  if (!ca.includes("-----BEGIN"))
    throw new Error(`${SETTING}.caFile: ${options.caFile} holds no PEM certificate`);
  return { cert, key, ca };
}

function check(fault: string, parts: Partial<Certificates>): void {
  try {
    createSecureContext(parts);
  } catch (error) {
    throw new Error(`${fault} (${reason(error)})`, { cause: error });
  }
}

/** Changes when a file is replaced or written anew; a missing one counts as well. */
function stampOf({ certFile, keyFile, caFile }: BrokerTlsOptions): string {
  return [certFile, keyFile, ...(caFile === undefined ? [] : [caFile])]
    .map((path) => {
      const stats = statSync(path, { throwIfNoEntry: false });
      return stats === undefined ? "" : `${stats.ino}:${stats.mtimeMs}:${stats.size}`;
    })
    .join(" ");
}

function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "ENOENT") return "no such file";
  if (code === "EACCES") return "permission denied";
  return message;
}
