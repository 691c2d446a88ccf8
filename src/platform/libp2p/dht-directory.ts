import { type KadDHT, kadDHT, passthroughMapper } from "@libp2p/kad-dht";
import { type Deadline, type Directory, type DirectoryRules, NetworkError } from "../network.ts";
import type { PeerId } from "../signer.ts";

/** First part of the keys under which records lie: `/agent-mesh/<peer id>`. */
const NAMESPACE = "agent-mesh";
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
    querySelfInterval: 300_000,
    initialQuerySelfInterval: 2_000,
  });
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
