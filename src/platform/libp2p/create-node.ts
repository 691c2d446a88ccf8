import { createHash } from "node:crypto";
import type { GossipSub } from "@libp2p/gossipsub";
import { identify, identifyPush } from "@libp2p/identify";
import type { PeerInfo, ServiceMap } from "@libp2p/interface";
import type { KadDHT } from "@libp2p/kad-dht";
import { ping } from "@libp2p/ping";
import { yamux } from "@libp2p/yamux";
import { createLibp2p, type Libp2p, type Libp2pOptions } from "libp2p";
import type { DiscoveryMethod } from "../network.ts";
import { gossipService } from "./gossip.ts";
import type { HandshakeWatch } from "./handshake-watch.ts";
import { mergeOnce } from "./merge-once.ts";
import { unthrowing } from "./noise-prefix.ts";
import { quietLogger } from "./quiet-logger.ts";
import type { Libp2pSettings } from "./settings.ts";
import { transportsOf } from "./transports.ts";
import { writeTogether } from "./write-together.ts";

const STREAM_WINDOW_BYTES_MAX = 4_194_304;
const MDNS_TAG = "_p2p._udp.local";

/** Services that every node has, or may have. */
export interface NodeServices extends ServiceMap {
  readonly pubsub: GossipSub;
  readonly dht?: KadDHT;
}

/** A node as this folder uses it. */
export type Node = Libp2p<NodeServices>;

/** Which components a service finds at run time follows from what else is listed; the types do not see it. */
type Factories = Record<string, (components: never) => unknown>;

type OnDiscovered = (found: PeerInfo, by: DiscoveryMethod) => void;

/**
 * @param handshakes counts those who come in and can not say who they are
 * @param onDiscovered hears of peers that somebody may want to dial; libp2p dials nobody by itself
 * @returns a node that has not been started
 */
export async function createNode(
  settings: Libp2pSettings,
  handshakes: HandshakeWatch,
  onDiscovered: OnDiscovered,
): Promise<Node> {
  const { gate, relay, networkKey } = settings;
  const services: Factories = {
    identify: identify(),
    identifyPush: identifyPush(),
    ping: ping({ maxInboundStreams: 4 }),
    pubsub: gossipService(settings),
    ...(await optionalServices(settings, onDiscovered)),
  };
  const node = await createLibp2p({
    start: false,
    privateKey: settings.privateKey,
    nodeInfo: {
      name: "agent-mesh",
      version: settings.agentVersion,
      userAgent: settings.agentVersion,
    },
    logger: quietLogger(settings.logger),
    addresses: {
      listen: [
        ...settings.listen,
        ...(relay.use && settings.listen.length > 0 ? ["/p2p-circuit"] : []),
      ],
      announce: [...settings.announce],
    },
    transports: await transportsOf(settings),
    connectionEncrypters: await encryptersOf(settings),
    streamMuxers: await muxersOf(settings),
    ...(networkKey !== undefined && {
      connectionProtector: (await import("@libp2p/pnet")).preSharedKey({ psk: networkKey }),
    }),
    peerDiscovery: await discoveryOf(settings, onDiscovered),
    connectionManager: {
      maxConnections: settings.connectionsMax,
      inboundConnectionThreshold: settings.inboundPerSecondMax,
      maxIncomingPendingConnections: 32,
      maxParallelDials: 16,
      // A private address behind somebody else's NAT answers nothing: the next one has to have its turn.
      addressDialTimeout: 5_000,
      // The mesh redials, for ever; nobody is tagged to be kept here.
      reconnectRetries: 0,
    },
    connectionMonitor: { enabled: false },
    connectionGater: {
      // By default libp2p refuses to dial private addresses in browsers; here everything goes.
      denyDialMultiaddr: () => false,
      denyDialPeer: (peer) => !gate.admits(peer.toString()),
      denyInboundConnection: (connection) => {
        handshakes.begun(connection);
        return false;
      },
      denyInboundEncryptedConnection: (peer, connection) => {
        handshakes.done(connection);
        writeTogether(connection);
        return !gate.admits(peer.toString(), connection.remoteAddr.toString());
      },
      denyOutboundEncryptedConnection: (peer, connection) => {
        writeTogether(connection);
        return !gate.admits(peer.toString());
      },
      denyInboundRelayReservation: (peer) => !gate.admits(peer.toString()),
    },
    services: services as NonNullable<Libp2pOptions["services"]>,
  });
  mergeOnce(node.peerStore, () => performance.now());
  return node as unknown as Node;
}

/** Everything below is loaded only where it is switched on: what is loaded takes memory for good. */
async function optionalServices(
  { relay, directory }: Libp2pSettings,
  onDiscovered: OnDiscovered,
): Promise<Factories> {
  const services: Factories = {};
  if (directory !== undefined) {
    const { dhtService } = await import("./dht-service.ts");
    services["dht"] = discovering(dhtService(directory), (found) => onDiscovered(found, "dht"));
  }
  if (relay.serve) {
    const { circuitRelayServer } = await import("@libp2p/circuit-relay-v2");
    services["relay"] = circuitRelayServer({
      reservations: { maxReservations: 64, defaultDataLimit: 67_108_864n },
    });
  }
  if (relay.use) {
    services["dcutr"] = (await import("@libp2p/dcutr")).dcutr();
    services["autoNAT"] = (await import("@libp2p/autonat")).autoNAT();
  }
  return services;
}

function encryptersOf({ encryptions }: Libp2pSettings) {
  return Promise.all(
    encryptions.map(async (name) => {
      if (name !== "noise") return (await import("@libp2p/tls")).tls();
      const [{ noise }, { noiseCrypto }] = await Promise.all([
        import("@libp2p/noise"),
        import("./noise-crypto.ts"),
      ]);
      return unthrowing(noise({ crypto: noiseCrypto }));
    }),
  );
}

function muxersOf({ muxers = ["yamux", "mplex"] }: Libp2pSettings) {
  return Promise.all(
    muxers.map(async (name) =>
      name === "mplex"
        ? (await import("@libp2p/mplex")).mplex({ disconnectThreshold: 16 })
        : yamux({
            enableKeepAlive: true,
            keepAliveInterval: 30_000,
            // What a peer may have on the way on one stream; more than a stream holds unread would end it.
            streamOptions: { maxStreamWindowSize: STREAM_WINDOW_BYTES_MAX },
          }),
    ),
  );
}

async function discoveryOf(
  { mdns: enabled, mdnsIntervalMs: interval, networkKey }: Libp2pSettings,
  onDiscovered: OnDiscovered,
) {
  if (!enabled) return [];
  const { mdns } = await import("@libp2p/mdns");
  const found = mdns({ interval, serviceTag: mdnsTag(networkKey) });
  return [discovering(found, (peer) => onDiscovered(peer, "mdns"))];
}

/** Nodes of other private networks can not be dialled, so they need not be found either. */
function mdnsTag(networkKey: Uint8Array | undefined): string {
  if (networkKey === undefined) return MDNS_TAG;
  const network = createHash("sha256").update(networkKey).digest("hex").slice(0, 16);
  return `_p2p-${network}._udp.local`;
}

/** @returns the same factory; what it makes tells its finds to `onFound` as well */
function discovering<C, T>(
  factory: (components: C) => T,
  onFound: (found: PeerInfo) => void,
): (components: C) => T {
  return (components) => {
    const made = factory(components);
    (made as unknown as EventTarget).addEventListener("peer", (event) =>
      onFound((event as CustomEvent<PeerInfo>).detail),
    );
    return made;
  };
}
