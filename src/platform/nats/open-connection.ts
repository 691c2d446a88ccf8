import { credsAuthenticator, type NatsConnection } from "@nats-io/nats-core";
import { NatsConnectionImpl, setTransportFactory } from "@nats-io/nats-core/internal";
import type { NodeConnectionOptions } from "@nats-io/transport-node";
import { nodeResolveHost } from "@nats-io/transport-node/lib/node_transport.js";
import { describeDialError, hostOf, pemOf, type TlsFiles } from "../wire/dial.ts";
import { CountedTransport, SocketLedger } from "./counted-transport.ts";

/** Who we are to the server; at most one of the three ways. */
export interface Credentials {
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly token?: string | undefined;
  /** Contents of a `.creds` file. */
  readonly credentials?: Uint8Array | undefined;
}

/** An open connection and what it costs. */
export interface OpenConnection {
  readonly connection: NatsConnection;
  readonly ledger: SocketLedger;
}

/**
 * Opens one connection that is not reopened by the library.
 * @throws Error in words, naming the setting to change where there is one
 */
export async function openConnection(options: {
  readonly url: string;
  readonly agentId: string;
  readonly credentials: () => Credentials;
  readonly tls?: TlsFiles | undefined;
  readonly connectTimeoutMs: number;
  readonly keepaliveSeconds: number;
}): Promise<OpenConnection> {
  const { url, agentId, tls, connectTimeoutMs, keepaliveSeconds } = options;
  const { port } = new URL(url);
  const host = hostOf(url);
  const server = `${host.includes(":") ? `[${host}]` : host}:${port || 4222}`;
  const ledger = new SocketLedger();
  setTransportFactory({
    factory: () => new CountedTransport(ledger, tls?.serverName ?? host),
    dnsResolveFn: nodeResolveHost,
  });
  try {
    const connection = await NatsConnectionImpl.connect({
      servers: [server],
      name: `agent-mesh ${agentId}`,
      reconnect: false,
      ignoreClusterUpdates: true,
      timeout: connectTimeoutMs,
      pingInterval: keepaliveSeconds * 1_000,
      maxPingOut: 1,
      ...tlsOf(url, tls),
      ...authenticationOf(options.credentials()),
    });
    return { connection, ledger };
  } catch (error) {
    ledger.destroy();
    throw new Error(reasonOf(error, url), { cause: error });
  }
}

function tlsOf(url: string, files: TlsFiles | undefined): Pick<NodeConnectionOptions, "tls"> {
  if (files === undefined && !url.startsWith("tls:")) return {};
  const { ca, cert, key } = pemOf(files);
  return {
    tls: {
      ...(ca === undefined ? {} : { ca: ca.toString() }),
      ...(cert === undefined ? {} : { cert: cert.toString() }),
      ...(key === undefined ? {} : { key: key.toString() }),
      ...(files?.serverName === undefined ? {} : { servername: files.serverName }),
    },
  };
}

function authenticationOf({
  username,
  password,
  token,
  credentials,
}: Credentials): NodeConnectionOptions {
  if (credentials !== undefined) return { authenticator: credsAuthenticator(credentials) };
  return {
    ...(username === undefined ? {} : { user: username }),
    ...(password === undefined ? {} : { pass: password }),
    ...(token === undefined ? {} : { token }),
  };
}

function reasonOf(error: unknown, url: string): string {
  if (!(error instanceof Error)) return String(error);
  if (/authorization|authentication/i.test(`${error.name} ${error.message}`))
    return `the server refused us (${error.message}): check username and password, token or credentialsFile`;
  const cause = error.cause instanceof Error ? error.cause : error;
  const { code } = cause as Error & { code?: string };
  return describeDialError(code === undefined ? error : cause, url, "server");
}
