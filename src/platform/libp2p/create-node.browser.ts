import type { GossipSub } from "@libp2p/gossipsub";
import { identify, identifyPush } from "@libp2p/identify";
import type { ServiceMap } from "@libp2p/interface";
import type { KadDHT } from "@libp2p/kad-dht";
import { noise } from "@libp2p/noise";
import { ping } from "@libp2p/ping";
import { webRTCDirect } from "@libp2p/webrtc";
import { webSockets } from "@libp2p/websockets";
import { yamux } from "@libp2p/yamux";
import { createLibp2p, type Libp2p, type Libp2pOptions } from "libp2p";
import { gossipService } from "./gossip.ts";
import { unthrowing } from "./noise-prefix.ts";
import { quietLogger } from "./quiet-logger.ts";
import type { Libp2pSettings } from "./settings.ts";

/** Services that every node has, or may have. */
interface NodeServices extends ServiceMap {
  readonly pubsub: GossipSub;
  readonly dht?: KadDHT;
}

/** What stands in for `create-node.ts` in a browser, which dials and can not be dialled. @see createNode there */
export async function createNode(settings: Libp2pSettings): Promise<Libp2p<NodeServices>> {
  const { gate, agentVersion, transports } = settings;
  const services = {
    identify: identify(),
    identifyPush: identifyPush(),
    ping: ping({ maxInboundStreams: 4 }),
    pubsub: gossipService(settings),
  };
  const node = await createLibp2p({
    start: false,
    privateKey: settings.privateKey,
    nodeInfo: { name: "agent-mesh", version: agentVersion, userAgent: agentVersion },
    logger: quietLogger(settings.logger),
    transports: [
      ...(transports.includes("ws") ? [webSockets()] : []),
      ...(transports.includes("webrtc") ? [webRTCDirect()] : []),
    ],
    connectionEncrypters: [unthrowing(noise())],
    streamMuxers: [yamux({ enableKeepAlive: true, keepAliveInterval: 30_000 })],
    connectionManager: {
      maxConnections: settings.connectionsMax,
      // The mesh redials, for ever.
      reconnectRetries: 0,
    },
    connectionMonitor: { enabled: false },
    connectionGater: {
      // Devices on a LAN have private addresses, which libp2p does not dial from a browser unless told to.
      denyDialMultiaddr: () => false,
      denyDialPeer: (peer) => !gate.admits(peer.toString()),
      denyOutboundEncryptedConnection: (peer) => !gate.admits(peer.toString()),
    },
    services: services as unknown as NonNullable<Libp2pOptions["services"]>,
  });
  return node as unknown as Libp2p<NodeServices>;
}
