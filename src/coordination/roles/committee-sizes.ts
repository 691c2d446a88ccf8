/** Where members may lie: 3f + 1 for f of 1 to 3, three for majorities, and one alone. Two are no safer than one. */
export const BYZANTINE_SIZES = [1, 3, 4, 7, 10] as const;

/**
 * Where members crash at most: an even number bears no more than the odd one below it, and members beyond five make each
 * decision, and each round of learning, dearer for a third crash at the same time.
 */
export const MAJORITY_SIZES = [1, 3, 5] as const;

/** What the largest committee may be set to. */
export const COMMITTEE_SIZES_MAX = [1, 3, 4, 5, 7, 10] as const;

/** @returns how many a committee that decides by the protocol may have, ascending @param max the most that are wanted */
export function committeeSizes(
  protocol: "raft" | "pbft" | "tendermint",
  max: number,
): readonly number[] {
  const sizes = protocol === "raft" ? MAJORITY_SIZES : BYZANTINE_SIZES;
  return sizes.filter((size) => size <= max);
}
