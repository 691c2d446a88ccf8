import { setTimeout as pause } from "node:timers/promises";
import { type PeerRouting, peerRoutingSymbol } from "@libp2p/interface";
import { kadDHT, passthroughMapper } from "@libp2p/kad-dht";
import type { DirectoryRules } from "../network.ts";
import { NAMESPACE, peerOf } from "./dht-directory.ts";

/** Version of the Kademlia protocol as agents speak it; go-libp2p's `ProtocolPrefix("/agent-mesh")`. */
const PROTOCOL = "/agent-mesh/kad/1.0.0";
/** Rest between two walks through the table in search of relays. */
const WALK_PAUSE_MS = 30_000;

/** @returns a Kademlia table (libp2p specification "kad-dht") that keeps signed agent records and nothing else */
export function dhtService(rules: DirectoryRules): ReturnType<typeof kadDHT> {
  const create = kadDHT({
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
    querySelfInterval: 300_000,
    initialQuerySelfInterval: 2_000,
  });
  return (components) => {
    const dht = create(components);
    restBetweenWalks((dht as unknown as Record<symbol, PeerRouting>)[peerRoutingSymbol]);
    return dht;
  };
}

/**
 * Who looks for relays walks through the table again and again without any rest: in a small fleet that keeps a core
 * busy, and in an empty table it happens in microtasks alone, so that nothing else ever gets its turn.
 */
function restBetweenWalks(routing: PeerRouting | undefined): void {
  if (routing === undefined) return;
  const walk = routing.getClosestPeers.bind(routing);
  routing.getClosestPeers = async function* (key, options) {
    const { signal } = options ?? {};
    await pause(WALK_PAUSE_MS, undefined, { ref: false, ...(signal && { signal }) });
    yield* walk(key, options);
  };
}
