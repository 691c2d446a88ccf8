import type { Hasher } from "../../platform/hasher.ts";
import type { PeerId } from "../../platform/signer.ts";

/** Says who comes first in a round. */
export interface RankKey {
  /** 32 hexadecimal digits. */
  readonly task: string;
  readonly round: number;
}

/**
 * Everybody in an order that is another one in each round, and the same for all who know the same peers: by SHA-256 of
 * `task|round|peer` (rendezvous hashing, Thaler and Ravishankar 1998), so that one more peer shifts nobody but itself.
 */
export function rank(
  hasher: Hasher,
  { task, round }: RankKey,
  peers: Iterable<PeerId>,
): readonly PeerId[] {
  const keyed = Array.from(new Set(peers), (peer) => ({
    peer,
    key: hasher.sha256Hex(`${task}|${round}|${peer}`),
  }));
  return keyed.sort((one, other) => (one.key < other.key ? -1 : 1)).map(({ peer }) => peer);
}
