/** A fleet signs at most ten refreshed records a second, all together. */
const PER_MEMBER_MS = 100;

/**
 * How often an agent signs its record anew at the least, so that all hear of it again.
 * @param fleet living members
 */
export function refreshMs(fleet: number, refreshIntervalMs: number): number {
  return Math.max(refreshIntervalMs, fleet * PER_MEMBER_MS);
}
