import type { PeerId } from "../../platform/signer.ts";
import { AGGREGATORS_MAX, type RoleChoice } from "./assignment.ts";
import { type Candidate, compareCandidates } from "./suitability.ts";

/** A candidate with what the choice has to know of it. */
export interface Eligible extends Candidate {
  readonly mayValidate: boolean;
  readonly mayAggregate: boolean;
  /** New roles go to those who are there without doubt; a suspect keeps what it has. */
  readonly settled: boolean;
}

/** What is chosen from. */
export interface ChoiceInput {
  readonly maker: Eligible;
  /** Everybody else that is known and may hold something, in any order. */
  readonly others: readonly Eligible[];
  /** Agents known to live, the maker included. */
  readonly livingCount: number;
  /** Who has the roles now. */
  readonly holders: RoleChoice;
  /** See `RoleOptions`. */
  readonly committeeSizes: readonly number[];
  /** How much better somebody must be to take a role from a holder that could keep it; absent: nobody loses one. */
  readonly marginPercent?: number;
}

/**
 * Chooses validators and aggregators. Who has a role keeps it while it may; what is free goes to the most suitable.
 * Aggregators are not in the committee as long as there are others, for it should not check its own work; else it is its
 * least suitable one. Where the maker is on battery there are no validators at all.
 */
export function choose(input: ChoiceInput): RoleChoice {
  const { maker, holders, livingCount } = input;
  const others = input.others.filter(({ standing }) => standing === maker.standing);
  const inQuorum = maker.standing === "quorum";
  const electorate = others.filter(({ mayValidate }) => mayValidate);
  const validators = inQuorum
    ? pick(electorate, holders.validators, committeeSize(electorate.length + 1, input) - 1, input)
    : [];
  const wanted = aggregatorsWanted(livingCount);
  const all = [maker, ...others].filter(({ mayAggregate }) => mayAggregate);
  if (!inQuorum) return { validators, aggregators: pick(all, holders.aggregators, wanted, input) };
  const apart = all.filter((one) => one !== maker && !validators.includes(one.peer));
  if (apart.length > 0)
    return { validators, aggregators: pick(apart, holders.aggregators, wanted, input) };
  const within = all.toSorted(compareCandidates);
  const one = within.find(({ peer }) => holders.aggregators.includes(peer)) ?? within.at(-1);
  return { validators, aggregators: one === undefined ? [] : [one.peer] };
}

/** @returns how many aggregators a fleet of that size wants: 1 for two agents, 3 for 16, 6 for a thousand */
export function aggregatorsWanted(livingCount: number): number {
  return Math.min(AGGREGATORS_MAX, 1 + Math.floor(Math.log2(Math.max(1, livingCount)) / 2));
}

/** @returns the largest committee that so many agents can make up */
function committeeSize(agents: number, { committeeSizes }: ChoiceInput): number {
  return committeeSizes.findLast((size) => size <= agents) ?? 1;
}

/** @returns `count` peer ids in order, or fewer where there are not as many */
function pick(
  pool: readonly Eligible[],
  holding: readonly PeerId[],
  count: number,
  { marginPercent }: ChoiceInput,
): readonly PeerId[] {
  const ranked = pool.toSorted(compareCandidates);
  const kept = ranked.filter(({ peer }) => holding.includes(peer)).slice(0, count);
  const free = ranked.filter((one) => one.settled && !kept.includes(one));
  const chosen = [...kept, ...free.splice(0, Math.max(0, count - kept.length))];
  if (marginPercent !== undefined) exchange(chosen, free, marginPercent);
  return chosen.map(({ peer }) => peer).sort();
}

/** The best outside takes the place of the worst inside, as long as it is that much better. */
function exchange(chosen: Eligible[], free: Eligible[], marginPercent: number): void {
  for (;;) {
    chosen.sort(compareCandidates);
    const [best] = free;
    const worst = chosen.at(-1);
    if (best === undefined || worst === undefined) return;
    if (!isBetterBy(best.score, worst.score, marginPercent)) return;
    chosen[chosen.length - 1] = best;
    free.shift();
  }
}

/** @returns whether a score is more than that percentage above the other */
export function isBetterBy(score: number, other: number, marginPercent: number): boolean {
  return score * 100 > other * (100 + marginPercent);
}
