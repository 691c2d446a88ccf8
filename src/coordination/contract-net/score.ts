import type { PeerId } from "../../platform/signer.ts";

/** What an agent asks and promises, and what is thought of it. */
export interface Bid {
  readonly peer: PeerId;
  readonly cost: number;
  /** Promised end, counted from the award. */
  readonly endsInMs: number;
  readonly reputation: number;
}

/** How far cost, promised end and reputation count; only their proportions matter. */
export interface BidWeights {
  readonly cost: number;
  readonly end: number;
  readonly reputation: number;
}

/** Cost counts a little more than the promised end and the reputation. */
export const defaultBidWeights: BidWeights = { cost: 0.4, end: 0.3, reputation: 0.3 };

/**
 * Best bids first: the additive rule over cost and end, each as its share of the way from the least to the most that was
 * bid, and the reputation as it is. Those alike are in the order of their names, so the order never depends on arrival.
 */
export function ranked(bids: readonly Bid[], weights: BidWeights): readonly Bid[] {
  const cost = scale(bids.map((bid) => bid.cost));
  const end = scale(bids.map((bid) => bid.endsInMs));
  return bids
    .map((bid) => ({
      bid,
      score:
        weights.cost * cost(bid.cost) +
        weights.end * end(bid.endsInMs) +
        weights.reputation * (1 - bid.reputation),
    }))
    .sort((a, b) => a.score - b.score || (a.bid.peer < b.bid.peer ? -1 : 1))
    .map(({ bid }) => bid);
}

function scale(values: readonly number[]): (value: number) => number {
  const least = values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const most = values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  return (value) => (most > least ? (value - least) / (most - least) : 0);
}
