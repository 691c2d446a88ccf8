const FIRST_MS = 500;
const LONGEST_MS = 15_000;

/**
 * Time until the next attempt to reach the agent: doubling, capped, and spread over its upper half so that
 * many open pages do not come back in step.
 * @param attempt from 0. @param random in [0, 1).
 */
export function backoffMs(attempt: number, random: number): number {
  const ceiling = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt, 16));
  return Math.round(ceiling * (0.5 + random / 2));
}
