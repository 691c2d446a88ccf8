/**
 * Why something was not done. What peers say: `malformed`: it is no message; `too-large`: more than one message may hold;
 * `misdirected`: for another node; `own-message`: from a peer that claims to be this node; `unknown-sender`: from no
 * member, where only members may say it; `stale-term`: of a term that is over; `second-leader`: from a leader while the
 * term has another one; `not-the-leader`: only the leader may say it; `commit-beyond-log`: this node should have entries
 * that it does not have; `conflicts-with-committed`: a committed entry would change; `foreign-snapshot`: this node is no
 * member in it; `unknown-round`: an answer to what was not asked; `leader-alive`: a vote while the leader is alive.
 * What is asked for: `no-leader`; `not-a-member`: the leader was removed; `transfer-in-progress`; `forwarding-disabled`;
 * `uncommitted-bytes`: too much waits to be committed; `malformed-change`: no change of members can be read;
 * `too-many-reads`: too many wait; `unpromotable`: this node may not lead; `unapplied-change`: first it has to apply a
 * change of members; `terms-exhausted`: no further term can be counted.
 */
export const REFUSALS = [
  "malformed",
  "too-large",
  "misdirected",
  "own-message",
  "unknown-sender",
  "stale-term",
  "second-leader",
  "not-the-leader",
  "commit-beyond-log",
  "conflicts-with-committed",
  "foreign-snapshot",
  "unknown-round",
  "leader-alive",
  "no-leader",
  "not-a-member",
  "transfer-in-progress",
  "forwarding-disabled",
  "uncommitted-bytes",
  "malformed-change",
  "too-many-reads",
  "unpromotable",
  "unapplied-change",
  "terms-exhausted",
] as const;

/** One of {@link REFUSALS}. */
export type Refusal = (typeof REFUSALS)[number];

/** Counts what was refused, by name. */
export class RefusalCounter {
  readonly #counts = new Map<Refusal, number>();

  /** @returns what it was given, so that it can be returned at once */
  count(refusal: Refusal): Refusal {
    this.#counts.set(refusal, (this.#counts.get(refusal) ?? 0) + 1);
    return refusal;
  }

  /** Since the start. */
  get counts(): ReadonlyMap<Refusal, number> {
    return this.#counts;
  }
}
