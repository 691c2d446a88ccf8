import { setTimeout as pause } from "node:timers/promises";
import { type PeerRouting, peerRoutingSymbol } from "@libp2p/interface";
import { type KadDHT, kadDHT, passthroughMapper } from "@libp2p/kad-dht";
import { type Deadline, type Directory, type DirectoryRules, NetworkError } from "../network.ts";
import type { PeerId } from "../signer.ts";

/** First part of the keys under which records lie: `/agent-mesh/<peer id>`. */
const NAMESPACE = "agent-mesh";
/** Version of the Kademlia protocol as agents speak it; go-libp2p's `ProtocolPrefix("/agent-mesh")`. */
const PROTOCOL = "/agent-mesh/kad/1.0.0";
/** Rest between two walks through the table in search of relays. */
const WALK_PAUSE_MS = 30_000;

type DhtFactory = ReturnType<typeof kadDHT>;

/** @returns a Kademlia table (libp2p specification "kad-dht") that keeps signed agent records and nothing else */
export function dhtService(rules: DirectoryRules): DhtFactory {
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

/** Agent records in the table. */
export class DhtDirectory implements Directory {
  readonly #dht: KadDHT;
  readonly #self: PeerId;

  constructor(dht: KadDHT, self: PeerId) {
    this.#dht = dht;
    this.#self = self;
  }

  async publish(record: Uint8Array, { timeoutMs }: Deadline): Promise<void> {
    let taken = 0;
    try {
      const signal = AbortSignal.timeout(timeoutMs);
      for await (const event of this.#dht.put(keyOf(this.#self), record, { signal }))
        if (event.name === "PEER_RESPONSE" && event.messageName === "PUT_VALUE") taken++;
    } catch (error) {
      throw new NetworkError("network.unreachable", "the record could not be put into the table", {
        cause: error,
      });
    }
    if (taken === 0) throw new NetworkError("network.unreachable", "no node took the record");
  }

  async find(peer: PeerId, { timeoutMs }: Deadline): Promise<Uint8Array | undefined> {
    try {
      const signal = AbortSignal.timeout(timeoutMs);
      for await (const event of this.#dht.get(keyOf(peer), { signal }))
        if (event.name === "VALUE") return event.value;
    } catch {
      // The table says "not found" by throwing.
    }
    return undefined;
  }
}

function keyOf(peer: PeerId): Uint8Array {
  return Buffer.from(`/${NAMESPACE}/${peer}`, "utf8");
}

function peerOf(key: Uint8Array): PeerId {
  return Buffer.from(key).toString("utf8").split("/")[2] ?? "";
}
