import type { PeerId } from "../../platform/signer.ts";
import { fnv1a } from "../records/fnv1a.ts";

/** An agent of the mesh that says that it relays. */
export interface HostCandidate {
  readonly peer: PeerId;
  readonly agentId: string;
  /** There is a link to it now. */
  readonly linked: boolean;
  /** Peer ids of the agents behind it on the way to an uplink; none where it has one itself. */
  readonly route: readonly PeerId[];
  /** How much of its room is in use, 0 to 100. */
  readonly loadPercent: number;
}

/** What else counts. */
export interface ChoiceTerms {
  readonly self: PeerId;
  /** Ids of the agents that may relay; empty: all. */
  readonly via: readonly string[];
  /** Agents that an update may pass on its way. */
  readonly hopsMax: number;
  /** The one that relayed last. */
  readonly last: PeerId | undefined;
  /** Those that are not asked now: they said no lately. */
  readonly avoided: ReadonlySet<PeerId>;
}

/** What a way has to go by. */
export type WayTerms = Pick<ChoiceTerms, "self" | "hopsMax">;

/** From here on another one of as many hops is better. */
const CROWDED_PERCENT = 80;

/**
 * Chooses who relays: the fewest hops, then one that has room, one to which there is a link, and the one of last time.
 * Among equals every guest has an order of its own, so that many guests spread over many hosts. One whose way leads
 * through this agent is none. Pure.
 */
export function chooseHost(
  candidates: Iterable<HostCandidate>,
  terms: ChoiceTerms,
): HostCandidate | undefined {
  let best: HostCandidate | undefined;
  let bestRank: readonly number[] = [];
  for (const candidate of candidates) {
    if (!isPossible(candidate, terms)) continue;
    const rank = rankOf(candidate, terms);
    if (best !== undefined && !isBefore(rank, bestRank)) continue;
    best = candidate;
    bestRank = rank;
  }
  return best;
}

/**
 * @param route agents on the way, the host first
 * @param passedMax agents that an update may have come through before it is sent there
 * @returns why no update can go that way
 */
export function routeFault(
  route: readonly PeerId[],
  passedMax: number,
  { self, hopsMax }: WayTerms,
): string | undefined {
  if (route.includes(self)) return "its way leads through this agent";
  if (route.length > hopsMax || passedMax < 1)
    return `its way has ${route.length} agents; relay.hopsMax is ${hopsMax}`;
  return undefined;
}

function isPossible({ peer, agentId, route }: HostCandidate, terms: ChoiceTerms): boolean {
  const { self, via, hopsMax, avoided } = terms;
  if (peer === self || route.includes(self) || avoided.has(peer)) return false;
  if (route.length + 1 > hopsMax) return false;
  return via.length === 0 || via.includes(agentId);
}

function rankOf(candidate: HostCandidate, { self, last }: ChoiceTerms): readonly number[] {
  const { peer, route, loadPercent, linked } = candidate;
  return [
    route.length,
    loadPercent >= CROWDED_PERCENT ? 1 : 0,
    linked ? 0 : 1,
    peer === last ? 0 : 1,
    placeOf(peer, self),
  ];
}

/** @returns where a host stands in a guest's own order; mixed once more, since names that are much alike stay so in FNV */
function placeOf(peer: PeerId, self: PeerId): number {
  const hash = fnv1a(`${peer} ${self}`);
  const mixed = Math.imul(hash ^ (hash >>> 16), 0x7feb_352d);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}

function isBefore(left: readonly number[], right: readonly number[]): boolean {
  for (const [at, value] of left.entries()) {
    const other = right[at] ?? 0;
    if (value !== other) return value < other;
  }
  return false;
}
