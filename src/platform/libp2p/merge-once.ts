import type { Peer, PeerStore } from "@libp2p/interface";

/** What was written down is again after this time: the store forgets peers of which nothing is, after hours. */
const AGAIN_AFTER_MS = 60_000;
/** Peers and protocols that are remembered. */
const REMEMBERED_MAX = 4_096;

/**
 * For every stream, js-libp2p has the peer store write down that the other side knows the stream's protocol: its record is read, parsed,
 * compared and written anew under a lock. From now on that is done once a minute for a protocol of a peer.
 * @param nowMs monotonic
 */
export function mergeOnce(store: PeerStore, nowMs: () => number): void {
  const merge = store.merge.bind(store);
  const merged = new Map<string, { readonly peer: Peer; readonly atMs: number }>();
  store.merge = async (id, data, options) => {
    const { protocols, ...more } = data;
    const [protocol] = protocols ?? [];
    if (protocol === undefined || protocols?.length !== 1 || Object.keys(more).length > 0)
      return merge(id, data, options);
    const key = `${id.toString()} ${protocol}`;
    const before = merged.get(key);
    if (before !== undefined && nowMs() - before.atMs < AGAIN_AFTER_MS) return before.peer;
    const peer = await merge(id, data, options);
    if (merged.size >= REMEMBERED_MAX) merged.clear();
    merged.set(key, { peer, atMs: nowMs() });
    return peer;
  };
}
