import { readFileSync } from "node:fs";
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls } from "node:tls";

/** Paths of PEM files; what is absent is the system's default or not used. */
export interface TlsFiles {
  readonly caFile?: string | undefined;
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  /** Name to verify, where it differs from the URL's host. */
  readonly serverName?: string | undefined;
}

/** Where to, and how. */
export interface Address {
  /** Name or address; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  readonly secure: boolean;
  readonly tls?: TlsFiles | undefined;
}

/**
 * Opens a connection: `connect`, or `secureConnect` when it is a secure one, says that it stands.
 * @throws Error naming the setting when a TLS file can not be read
 */
export function dial({ host, port, secure, tls }: Address): Socket {
  if (!secure) return connectTcp({ host, port, noDelay: true });
  // Read before anything is opened, since it may fail.
  const files = pemOf(tls);
  const wire = connectTcp({ host, port, noDelay: true });
  const options: ConnectionOptions = {
    socket: wire,
    host,
    // RFC 6066 section 3: an address is not a server name; it is verified all the same.
    ...(tls?.serverName === undefined
      ? isIP(host) === 0 && { servername: host }
      : { servername: tls.serverName }),
    ...files,
  };
  const socket = connectTls(options);
  wires.set(socket, wire);
  wire.on("error", (error) => socket.destroy(error));
  socket.on("close", () => wire.destroy());
  return socket;
}

/** What lies below a TLS socket. */
const wires = new WeakMap<Socket, Socket>();

/** @returns bytes that went over the wire both ways, with TLS and its handshake. */
export function wireBytesOf(socket: Socket): number {
  const { bytesRead, bytesWritten } = wires.get(socket) ?? socket;
  return bytesRead + bytesWritten;
}

/** Reads the files. @throws Error naming the setting when one can not be read. */
export function pemOf(tls: TlsFiles | undefined): { ca?: Buffer; cert?: Buffer; key?: Buffer } {
  return {
    ...(tls?.caFile === undefined ? {} : { ca: readPem(tls.caFile, "tls.caFile") }),
    ...(tls?.certFile === undefined ? {} : { cert: readPem(tls.certFile, "tls.certFile") }),
    ...(tls?.keyFile === undefined ? {} : { key: readPem(tls.keyFile, "tls.keyFile") }),
  };
}

/** @returns the host of a URL as {@link Address} wants it. */
export function hostOf(url: string): string {
  return new URL(url).hostname.replace(/^\[|\]$/g, "");
}

const UNKNOWN_AUTHORITY = new Set([
  "SELF_SIGNED_CERT_IN_CHAIN",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
]);

/** @returns why a connection failed, in words, with the setting to change where there is one. */
export function describeDialError(
  error: Error & { readonly code?: string },
  url: string,
  peer: string,
): string {
  const { host } = new URL(url);
  const code = error.code ?? "";
  if (code === "ECONNREFUSED") return `nobody listens at ${host} (connection refused)`;
  if (code === "ENOTFOUND" || code === "EAI_AGAIN")
    return `the name in ${host} can not be resolved (${code})`;
  if (UNKNOWN_AUTHORITY.has(code))
    return `the ${peer}'s certificate is not signed by a known authority (${code}); set tls.caFile`;
  return error.message;
}

function readPem(path: string, setting: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`${setting}: can not read ${path} (${reason})`, { cause: error });
  }
}
