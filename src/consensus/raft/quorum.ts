import type { Configuration } from "./configuration.ts";

/** How a vote stands. */
export type VoteOutcome = "won" | "pending" | "lost";

/** The greatest index that somebody has acknowledged; `undefined` when nothing is known of it. */
export type AcknowledgedIndex = (id: number) => number | undefined;
/** What somebody voted; `undefined` when it has not yet. */
export type CastVote = (id: number) => boolean | undefined;

type Majorities = Pick<Configuration, "voters" | "outgoing">;

/**
 * The greatest index that a majority has acknowledged. Infinity when there are no voters, so that an empty majority does
 * not hold back the one that it is joint with.
 */
export function majorityIndex(voters: readonly number[], indexOf: AcknowledgedIndex): number {
  const count = voters.length;
  if (count === 0) return Number.POSITIVE_INFINITY;
  // Insertion, since a committee is small: sorting by a comparison function costs more than that.
  const sorted: number[] = [];
  for (const id of voters) {
    const index = indexOf(id) ?? 0;
    let at = sorted.length;
    for (; at > 0; at--) {
      const below = sorted[at - 1] ?? 0;
      if (below <= index) break;
      sorted[at] = below;
    }
    sorted[at] = index;
  }
  return sorted[count - majorityOf(count)] ?? 0;
}

/** How a majority stands. An empty one agrees to everything. */
export function majorityVote(voters: readonly number[], voteOf: CastVote): VoteOutcome {
  if (voters.length === 0) return "won";
  let granted = 0;
  let missing = 0;
  for (const id of voters) {
    const vote = voteOf(id);
    if (vote === undefined) missing++;
    else if (vote) granted++;
  }
  const needed = majorityOf(voters.length);
  if (granted >= needed) return "won";
  return granted + missing >= needed ? "pending" : "lost";
}

/** The greatest index that both majorities have acknowledged (Ongaro 2014, section 4.3). */
export function jointIndex({ voters, outgoing }: Majorities, indexOf: AcknowledgedIndex): number {
  return Math.min(majorityIndex(voters, indexOf), majorityIndex(outgoing, indexOf));
}

/** Won when both majorities agree, lost when one refuses. */
export function jointVote({ voters, outgoing }: Majorities, voteOf: CastVote): VoteOutcome {
  const one = majorityVote(voters, voteOf);
  const other = majorityVote(outgoing, voteOf);
  if (one === other) return one;
  return one === "lost" || other === "lost" ? "lost" : "pending";
}

function majorityOf(count: number): number {
  return Math.floor(count / 2) + 1;
}
