import type { Vote, VoteCheck, VoteKind } from "./vote.ts";

/** Kinds of which an honest replica says one thing for each view and sequence number. */
const ONCE_ONLY: ReadonlySet<VoteKind> = new Set<VoteKind>([
  "pre-prepare",
  "prepare",
  "commit",
  "checkpoint",
]);

/** Two votes of one replica that contradict each other: it lies, and here is the proof. */
export interface Evidence {
  /** Place of the liar in the group. */
  readonly accused: number;
  readonly first: Vote;
  readonly second: Vote;
}

/** @returns whether two votes can not both come from one honest replica; signatures are not looked at */
export function contradict(first: Vote, second: Vote): boolean {
  return (
    first.kind === second.kind &&
    ONCE_ONLY.has(first.kind) &&
    first.signer === second.signer &&
    first.view === second.view &&
    first.sequence === second.sequence &&
    first.digest !== second.digest
  );
}

/** What a third party checks, with the member list alone. @returns whether the accused is proven to lie */
export function isProof({ accused, first, second }: Evidence, check: VoteCheck): boolean {
  return (
    first.signer === accused &&
    contradict(first, second) &&
    check.isGenuine(first) &&
    check.isGenuine(second)
  );
}
