/** Up to this size a fleet refreshes once in an interval. */
const FLEET_SMALL = 10;

/**
 * How often an agent signs its record anew at the least, so that all hear of it again. Everybody hears of everybody, so
 * the time grows with the fleet, but for its logarithm: what an agent has to pass on grows with that alone.
 * @param fleet living members
 */
export function refreshMs(fleet: number, refreshIntervalMs: number): number {
  const size = Math.max(FLEET_SMALL, fleet);
  return (refreshIntervalMs * size) / (FLEET_SMALL * Math.log10(size));
}
