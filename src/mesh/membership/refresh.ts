/** Up to this size a fleet refreshes once in an interval. */
const FLEET_SMALL = 10;
/** A refresh waits for a share of the time between two, which many a step from neighbour to neighbour fit into, and not without end. */
const WAIT_SHARE = 1 / 12;
const WAIT_MS_MAX = 30_000;

/**
 * How often an agent signs its record anew at the least, so that all hear of it again. Everybody hears of everybody, so
 * the time grows with the fleet, but for its logarithm: what an agent has to pass on grows with that alone.
 * @param fleet living members
 */
export function refreshMs(fleet: number, refreshIntervalMs: number): number {
  const size = Math.max(FLEET_SMALL, fleet);
  return (refreshIntervalMs * size) / (FLEET_SMALL * Math.log10(size));
}

/**
 * How long a refresh may wait for something else that is said to the neighbour: in a large fleet there always is a probe meanwhile, so
 * that no message is sent for its sake.
 * @param fleet living members
 */
export function refreshWaitMs(fleet: number, refreshIntervalMs: number): number {
  return Math.min(WAIT_MS_MAX, WAIT_SHARE * refreshMs(fleet, refreshIntervalMs));
}
