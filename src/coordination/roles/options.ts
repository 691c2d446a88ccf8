import { BYZANTINE_SIZES } from "./committee-sizes.ts";

/** Skills that each role wants: features of the agents' records. */
export interface RoleNeeds {
  readonly coordinator: readonly string[];
  readonly validator: readonly string[];
  readonly aggregator: readonly string[];
  readonly trainer: readonly string[];
}

/** Bounds and rhythm of the negotiation. Times in milliseconds. */
export interface RoleOptions {
  /** Between two looks whether somebody else is so much better that roles should move. */
  readonly rebalanceIntervalMs: number;
  /** How much better that has to be. */
  readonly marginPercent: number;
  /** No role moves by choice before its maker has held it for this long. */
  readonly holdMs: number;
  /** How many a committee may have, the coordinator included; ascending, from 1. */
  readonly committeeSizes: readonly number[];
  readonly needs: RoleNeeds;
  /** Between two comparisons with a neighbour drawn at random. */
  readonly exchangeIntervalMs: number;
  /** Between two signs of life of an assignment's maker. */
  readonly renewIntervalMs: number;
  /** An assignment without a sign of life for this long has ended. */
  readonly leaseMs: number;
  /** Until the most suitable agent that is known claims a vacancy. */
  readonly claimDelayMs: number;
  /** Later for each one that is more suitable; also the jitter. */
  readonly claimStepMs: number;
  /** What happens to members within this time makes one change. */
  readonly settleMs: number;
  /** Between two changes of an assignment by its maker because somebody is gone. */
  readonly repairSpacingMs: number;
  /** Between two changes because somebody came. */
  readonly growthSpacingMs: number;
}

/**
 * A killed coordinator is noticed by the membership within seconds; the lease is for those whose table does not hold
 * it, and outlasts three signs of life that were lost.
 */
export const defaultRoleOptions: RoleOptions = {
  rebalanceIntervalMs: 300_000,
  marginPercent: 20,
  holdMs: 60_000,
  committeeSizes: BYZANTINE_SIZES,
  needs: { coordinator: [], validator: [], aggregator: [], trainer: [] },
  exchangeIntervalMs: 30_000,
  renewIntervalMs: 60_000,
  leaseMs: 240_000,
  claimDelayMs: 2_000,
  claimStepMs: 1_000,
  settleMs: 2_000,
  repairSpacingMs: 5_000,
  growthSpacingMs: 30_000,
};
