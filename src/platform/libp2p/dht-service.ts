import { kadDHT, passthroughMapper } from "@libp2p/kad-dht";
import type { DirectoryRules } from "../network.ts";
import { NAMESPACE, peerOf } from "./dht-directory.ts";

/** Version of the Kademlia protocol as agents speak it; go-libp2p's `ProtocolPrefix("/agent-mesh")`. */
const PROTOCOL = "/agent-mesh/kad/1.0.0";

/** @returns a Kademlia table (libp2p specification "kad-dht") that keeps signed agent records and nothing else */
export function dhtService(rules: DirectoryRules) {
  return kadDHT({
    protocol: PROTOCOL,
    clientMode: false,
    // Devices on a LAN have private addresses only.
    peerInfoMapper: passthroughMapper,
    validators: {
      [NAMESPACE]: (key, value) => {
        if (!rules.valid(peerOf(key), value)) throw new Error("the record is none of that peer");
      },
    },
    selectors: { [NAMESPACE]: (_, values) => rules.newest(values) },
    kBucketSize: 20,
    maxInboundStreams: 32,
    maxOutboundStreams: 32,
    routingTableUpdateMaxQueueSize: 256,
    allowQueryWithZeroPeers: true,
    querySelfInterval: 300_000,
    initialQuerySelfInterval: 2_000,
  });
}
