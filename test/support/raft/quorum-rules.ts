import type { Configuration } from "../../../src/consensus/raft/configuration.ts";

/** What is on the disks of a world, as it would be found after a loss of power. */
export type DurableTerm = (id: number, index: number) => number | "compacted" | undefined;

/** Majorities, counted anew: what counts in the nodes may be what is wrong. */
export class QuorumRules {
  readonly #durableTerm: DurableTerm;

  constructor(durableTerm: DurableTerm) {
    this.#durableTerm = durableTerm;
  }

  /** A leader took an entry for committed. @throws Error unless it is of its term, and a majority has it on disk */
  committed(
    leader: number,
    configuration: Configuration,
    term: number,
    entry: { readonly index: number; readonly term: number | undefined },
  ): void {
    const { index } = entry;
    if (entry.term !== term)
      throw new Error(`commit rule: leader ${leader} of ${term} counts ${index} of ${entry.term}`);
    const hasIt = (id: number): boolean => {
      const there = this.#durableTerm(id, index);
      return there === "compacted" || there === term;
    };
    if (isMajority(configuration, hasIt)) return;
    throw new Error(`commit quorum: leader ${leader} of ${term} commits ${index} with too few`);
  }

  /** @throws Error unless a majority has voted for it */
  elected(
    leader: number,
    configuration: Configuration,
    term: number,
    hasVoted: (id: number) => boolean,
  ): void {
    if (!isMajority(configuration, (id) => id === leader || hasVoted(id)))
      throw new Error(`election quorum: ${leader} leads term ${term} with too few votes`);
  }
}

/** Of both, while two have to agree. */
function isMajority({ voters, outgoing }: Configuration, agrees: (id: number) => boolean): boolean {
  return [voters, outgoing].every(
    (ids) => ids.length === 0 || 2 * ids.filter(agrees).length > ids.length,
  );
}
