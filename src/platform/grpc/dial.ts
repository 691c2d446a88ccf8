import { readFileSync } from "node:fs";
import {
  type ChannelCredentials,
  Client,
  compressionAlgorithms,
  credentials,
  Metadata,
} from "@grpc/grpc-js";
import { BridgeError } from "../bridge.ts";
import { isLoopback } from "../loopback.ts";
import {
  ACCEPT_ENCODING,
  ENVELOPE_BYTES_MAX,
  KEEPALIVE_MS,
  KEEPALIVE_TIMEOUT_MS,
} from "./limits.ts";
import { type ClientTlsFiles, readClientTls } from "./tls-files.ts";

/** Settings of a client. */
export interface GrpcClientOptions {
  /** `grpc://host:port`, or `grpcs://` for TLS. */
  readonly url: string;
  /** File whose first line is the token; read again for each connection. Sent over TLS or to this device only. */
  readonly tokenFile?: string | undefined;
  readonly tls?: ClientTlsFiles | undefined;
  /** Compress what is sent, and ask for compressed answers. */
  readonly gzip: boolean;
  readonly messageBytesMax: number;
  /** For calls that have no deadline of their own. */
  readonly timeoutMs: number;
}

/**
 * Makes a channel, which connects when it is used, and what goes along with each call.
 * @throws BridgeError when a file can not be used, or the token would travel in the open
 */
export function dial(options: GrpcClientOptions): { client: Client; metadata: Metadata } {
  const { url, tokenFile, tls, gzip, messageBytesMax } = options;
  const { protocol, host, hostname } = new URL(url);
  const messageBytes = messageBytesMax + ENVELOPE_BYTES_MAX;
  const metadata = new Metadata();
  if (gzip) metadata.set(ACCEPT_ENCODING, "gzip");
  let channel: ChannelCredentials;
  try {
    if (tokenFile !== undefined) {
      const token = readFileSync(tokenFile, "utf8").split("\n")[0]?.trim() ?? "";
      metadata.set("authorization", `Bearer ${token}`);
    }
    channel = protocol === "grpcs:" ? secure(tls ?? {}) : credentials.createInsecure();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new BridgeError("bridge.unreachable", reason, { cause: error });
  }
  if (protocol !== "grpcs:" && tokenFile !== undefined && !isLoopback(hostname))
    throw new BridgeError("bridge.unreachable", `${url}: a token is sent over grpcs:// only`);
  const client = new Client(host, channel, {
    "grpc.max_receive_message_length": messageBytes,
    "grpc.max_send_message_length": messageBytes,
    "grpc.keepalive_time_ms": KEEPALIVE_MS,
    "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
    "grpc.enable_retries": 0,
    "grpc.enable_channelz": 0,
    "grpc.use_local_subchannel_pool": 1,
    "grpc.default_compression_algorithm": gzip
      ? compressionAlgorithms.gzip
      : compressionAlgorithms.identity,
    ...(tls?.serverName === undefined
      ? {}
      : {
          "grpc.ssl_target_name_override": tls.serverName,
          "grpc.default_authority": tls.serverName,
        }),
  });
  return { client, metadata };
}

function secure(tls: ClientTlsFiles): ChannelCredentials {
  const { ca, cert, key } = readClientTls(tls);
  return credentials.createSsl(ca ?? null, key ?? null, cert ?? null);
}
