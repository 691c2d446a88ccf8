/** A fleet up to this size, times its order of magnitude, refreshes as often as one of ten. */
const FLEET_PER_MAGNITUDE = 16;

/**
 * How often an agent signs its record anew at the least, so that all hear of it again. Everybody hears of everybody, so
 * the time grows with the fleet, but for its logarithm: what an agent has to pass on grows with that alone.
 * @param fleet living members
 */
export function refreshMs(fleet: number, refreshIntervalMs: number): number {
  const magnitude = Math.log10(Math.max(10, fleet));
  return refreshIntervalMs * Math.max(1, fleet / (FLEET_PER_MAGNITUDE * magnitude));
}
