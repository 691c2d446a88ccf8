import type { Hasher } from "../../platform/hasher.ts";
import type { PeerId } from "../../platform/signer.ts";

/** Says who comes first in a round. */
export interface RankKey {
  /** 32 hexadecimal digits. */
  readonly task: string;
  readonly round: number;
}

/** @returns by what a peer is ranked in a round: 64 hexadecimal digits, as good as random */
export function keyOf(hasher: Hasher, { task, round }: RankKey, peer: PeerId): string {
  return hasher.sha256Hex(`${task}|${round}|${peer}`);
}

/**
 * Everybody in an order that is another one in each round, and the same for all who know the same peers: by SHA-256 of
 * `task|round|peer` (rendezvous hashing, Thaler and Ravishankar 1998), so that one more peer shifts nobody but itself.
 */
export function rank(hasher: Hasher, place: RankKey, peers: Iterable<PeerId>): readonly PeerId[] {
  const keyed = Array.from(new Set(peers), (peer) => ({
    peer,
    key: keyOf(hasher, place, peer),
  }));
  return keyed.sort((one, other) => (one.key < other.key ? -1 : 1)).map(({ peer }) => peer);
}
