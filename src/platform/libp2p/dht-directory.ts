import type { KadDHT } from "@libp2p/kad-dht";
import { type Deadline, type Directory, NetworkError } from "../network.ts";
import type { PeerId } from "../signer.ts";

/** First part of the keys under which records lie: `/agent-mesh/<peer id>`. */
export const NAMESPACE = "agent-mesh";

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

/** @returns whose record lies under the key */
export function peerOf(key: Uint8Array): PeerId {
  return Buffer.from(key).toString("utf8").split("/")[2] ?? "";
}
