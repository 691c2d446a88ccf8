import type { Hasher } from "../../platform/hasher.ts";
import { toHex } from "../../platform/hex.ts";
import type { PeerId } from "../../platform/signer.ts";
import type { Evidence } from "./evidence.ts";

/**
 * Besides the members, so many are told by everybody who hears of a proof for the first time: with 6 a proof reaches all but one agent in
 * 400 (e^-6), whatever the size of the fleet (Kermarrec, Massoulié and Ganesh, "Probabilistic Reliable Dissemination", 2003).
 */
export const EVIDENCE_TOLD = 6;

/** What a spreading of a proof goes by. */
export interface SpreadParts {
  readonly hasher: Hasher;
  readonly self: PeerId;
  readonly members: readonly PeerId[];
  /** Everybody who could train, as far as is known. */
  readonly trainers: Iterable<PeerId>;
}

/**
 * @returns whom this agent tells of a proof: the members, who judge, and some others, drawn by the hash of proof, this agent and the other, so
 *   that each agent draws others
 */
export function toldOf(
  { first, second }: Evidence,
  { hasher, self, members, trainers }: SpreadParts,
): readonly PeerId[] {
  const told = new Set(members.filter((peer) => peer !== self));
  const proof = hasher.sha256Hex(toHex(first.signed.word) + toHex(second.signed.word));
  const others = Array.from(new Set(trainers))
    .filter((peer) => peer !== self && !told.has(peer))
    .map((peer) => ({ peer, key: hasher.sha256Hex(`${proof}|${self}|${peer}`) }))
    .sort((one, other) => (one.key < other.key ? -1 : 1));
  for (const { peer } of others.slice(0, EVIDENCE_TOLD)) told.add(peer);
  return [...told];
}
