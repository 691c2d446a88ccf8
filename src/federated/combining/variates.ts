import type { Contribution } from "../strategies/aggregation.ts";
import type { StrategyState } from "../strategies/strategy.ts";
import { decodeState } from "../strategies/strategy-state.ts";

/** How what the agents agreed on is called among what the strategy remembers. */
const VARIATE = "variate";

/**
 * How SCAFFOLD's variates (Karimireddy et al. 2020) travel where nobody is the server: an update has twice as many values as the model, the
 * change of the model first, then cᵢ⁺, the mean gradient that the agent saw. Variates are put together by the rule that changes
 * are put together by, and c is what comes of it.
 *
 * The paper's server adds what variates have changed by to c, which is the mean of all clients' variates as long as no client ever comes, goes or
 * forgets: what those have left behind stays in it for good. Here c is of those who were counted in the last round, which is the same where that
 * is all of them, and right again a round later where it was not.
 */
export function withVariate(change: Float32Array, variate: Float32Array): Float32Array {
  const values = new Float32Array(change.length + variate.length);
  values.set(change);
  values.set(variate, change.length);
  return values;
}

/** @returns contributions to the model, and those to c, of such updates */
export function partContributions(
  contributions: readonly Contribution[],
  parameterCount: number,
): { readonly changes: readonly Contribution[]; readonly variates: readonly Contribution[] } {
  const part = (from: number, to: number): readonly Contribution[] =>
    contributions.map((each) => ({ ...each, values: each.values.subarray(from, to) }));
  return {
    changes: part(0, parameterCount),
    variates: part(parameterCount, 2 * parameterCount),
  };
}

/** @returns what the strategy remembers besides c */
export function withoutVariate(state: StrategyState): StrategyState {
  const { [VARIATE]: _, ...moments } = state.moments;
  return { ...state, moments };
}

/** @returns what the strategy remembers, with c */
export function rememberVariate(state: StrategyState, agreed: Float32Array): StrategyState {
  return { ...state, moments: { ...state.moments, [VARIATE]: agreed } };
}

/**
 * @param state as it travels, of a model of so many parameters
 * @returns c; undefined where there is none in it @throws AggregationError `aggregation.state`
 */
export function variateIn(state: Uint8Array, parameterCount: number): Float32Array | undefined {
  return decodeState(state, parameterCount).moments[VARIATE];
}
