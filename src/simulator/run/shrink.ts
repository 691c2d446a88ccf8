import type { SimulationParts, SimulationResult } from "./simulation.ts";

const HOUR_MS = 3_600_000;
/** Faults take effect late: what happens after the violation plays no part, but this much before it may. */
const MARGIN_HOURS = 0.02;

/** The least that still fails. */
export interface Shrunk {
  readonly hours: number;
  /** Indexes in the plan of the seed. */
  readonly faults: readonly number[];
  readonly result: SimulationResult;
  readonly runs: number;
}

/** How a shrinking is done. */
export interface ShrinkParts extends SimulationParts {
  readonly run: (parts: SimulationParts) => Promise<SimulationResult>;
  /** Simulations at most. */
  readonly runsMax: number;
  readonly onRun?: (runs: number, faults: number) => void;
}

/**
 * Makes a failing simulation small: it ends soon after its first violation, and of its faults only those are left without
 * which the same promise is kept (delta debugging; Zeller, Hildebrandt 2002, "Simplifying and isolating failure-inducing
 * input").
 * @param failing what came of `parts`, with at least one violation
 */
export async function shrink(parts: ShrinkParts, failing: SimulationResult): Promise<Shrunk> {
  const [first] = failing.violations;
  if (first === undefined) throw new RangeError("there is nothing to shrink: no violation");
  let runs = 0;
  let best = { hours: parts.scenario.hours, faults: failing.faultIndexes, result: failing };
  const fails = async (hours: number, faults: readonly number[]): Promise<boolean> => {
    if (runs >= parts.runsMax) return false;
    runs++;
    parts.onRun?.(runs, best.faults.length);
    const result = await parts.run({
      ...parts,
      scenario: { ...parts.scenario, hours },
      // Another promise may be broken before.
      failFast: false,
      onlyFaults: new Set(faults),
    });
    const same = result.violations.some(({ promise }) => promise === first.promise);
    if (same) best = { hours, faults: [...faults], result };
    return same;
  };
  // In thousandths of an hour, as it is printed.
  const soon = Math.round(1_000 * (first.atMs / HOUR_MS + MARGIN_HOURS)) / 1_000;
  if (soon < best.hours) await fails(soon, best.faults);
  let parcels = 2;
  while (best.faults.length > 0 && runs < parts.runsMax) {
    const { faults } = best;
    const size = Math.ceil(faults.length / parcels);
    let smaller = false;
    for (let from = 0; from < faults.length && !smaller; from += size) {
      const rest = [...faults.slice(0, from), ...faults.slice(from + size)];
      smaller = await fails(best.hours, rest);
    }
    if (smaller) parcels = Math.max(2, parcels - 1);
    else if (size <= 1) break;
    else parcels = Math.min(faults.length, 2 * parcels);
  }
  return { ...best, runs };
}
