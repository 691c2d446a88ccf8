import type { MeshOptions } from "../mesh/options.ts";
import type { Clock } from "../platform/clock.ts";
import { generateIdentityPem, identityKeyFrom } from "../platform/libp2p/identity-key.ts";
import { Libp2pNetwork } from "../platform/libp2p/libp2p-network.ts";
import { parseNetworkKey } from "../platform/libp2p/network-key.ts";
import type { Logger } from "../platform/logger.ts";
import { isLoopback } from "../platform/loopback.ts";
import { readSecretFile } from "../platform/node/data-directory.ts";
import { identityText } from "../platform/node/identity-file.ts";
import type { MeshGround } from "./agent-platform.ts";

const MDNS_INTERVAL_MS = 10_000;
const INBOUND_PER_SECOND_MAX = 32;
const BULK_IDLE_TIMEOUT_MS = 30_000;

/**
 * The mesh on libp2p. Loaded only where the mesh is on: libp2p takes a third of the agent's memory.
 * @param parts `identityFile`: where the identity key lies unless `mesh.identityFile` says otherwise
 * @throws Error in words that name the setting to change
 */
export function openLibp2pMesh(
  options: MeshOptions,
  parts: {
    readonly identityFile: string;
    readonly version: string;
    readonly clock: Clock;
    readonly logger: Logger;
  },
): MeshGround {
  const file = options.identityFile ?? parts.identityFile;
  const { signer, privateKey } = readIdentity(file);
  const { transports, host, discovery, relay, limits, networkKeyFile } = options;
  const networkKey =
    networkKeyFile === undefined
      ? undefined
      : parseNetworkKey(readSecretFile(networkKeyFile, "mesh.networkKeyFile"));
  return {
    signer,
    createNetwork: ({ gate, rules, pace }) =>
      Libp2pNetwork.create({
        privateKey,
        signer,
        agentVersion: `agent-mesh/${parts.version}`,
        transports,
        listen: listenAddresses(options),
        announce: options.announce,
        encryptions: ["noise", "tls"],
        networkKey,
        mdns: discovery.mdns && !isLoopback(host),
        mdnsIntervalMs: MDNS_INTERVAL_MS,
        directory: discovery.dht ? rules : undefined,
        relay,
        connectionsMax: limits.connectionsMax,
        inboundPerSecondMax: INBOUND_PER_SECOND_MAX,
        messageBytesMax: limits.messageBytesMax,
        queueBytesMax: limits.queueBytesMax,
        bulkIdleTimeoutMs: BULK_IDLE_TIMEOUT_MS,
        pace,
        clock: parts.clock,
        gate,
        logger: parts.logger,
      }),
  };
}

function readIdentity(file: string) {
  try {
    return identityKeyFrom(identityText(file, generateIdentityPem));
  } catch (error) {
    if ((error as Error).message.includes(file)) throw error;
    throw new Error(
      `the identity key ${file} can not be used: ${(error as Error).message}; set mesh.identityFile to one that holds an Ed25519 key, or move it away for a new identity`,
      { cause: error },
    );
  }
}

function listenAddresses({ host, transports, ...ports }: MeshOptions): string[] {
  const address = host === "localhost" ? "127.0.0.1" : host;
  const base = address.includes(":") ? `/ip6/${address}` : `/ip4/${address}`;
  const ways: Readonly<Record<MeshOptions["transports"][number], string>> = {
    tcp: `${base}/tcp/${ports.port}`,
    ws: `${base}/tcp/${ports.webSocketPort}/ws`,
    quic: `${base}/udp/${ports.port}/quic-v1`,
    webrtc: `${base}/udp/${ports.webRtcPort}/webrtc-direct`,
  };
  return transports.map((name) => ways[name]);
}
