import type { TrailOption } from "./forager.ts";
import type { PheromoneCounters, TrailLevel } from "./pheromone-map.ts";

/** How often each outcome came about of what others told, and how often it was forged. */
export type TrailCounters = PheromoneCounters & { readonly forged: number };

/** Trails in numbers. */
export interface TrailsSummary {
  readonly enabled: boolean;
  readonly trails: number;
  /** At most one of each agent on each trail. */
  readonly deposits: number;
  readonly tickMs: number;
  readonly decay: number;
  readonly exploration: number;
  /** What became of deposits that others told of; absent where trails are off. */
  readonly counters?: TrailCounters;
}

/** What was chosen, and what was smelled on each option. */
export interface TrailChoice {
  readonly index: number;
  /** Chance alone decided. */
  readonly explored: boolean;
  readonly levels: readonly number[];
}

/** Trails, for REST, CLI and metrics. */
export interface TrailsView {
  summary(): TrailsSummary;
  /** The strongest first. @param prefix of their names */
  list(countMax: number, prefix: string): readonly TrailLevel[];
  /**
   * Deposits on this agent's account.
   * @returns what is on the trail then; undefined where there was no room for it, or trails are off
   * @throws RangeError for what can not name a trail, and for an amount that is not above 0
   */
  deposit(trail: string, amount: number): number | undefined;
  /** @returns undefined without options, and where trails are off @throws RangeError for a heuristic that is not above 0 */
  choose(options: readonly TrailOption[]): TrailChoice | undefined;
}

/** Trails are off. */
export const noTrails: TrailsView = {
  summary: () => ({
    enabled: false,
    trails: 0,
    deposits: 0,
    tickMs: 0,
    decay: 0,
    exploration: 0,
  }),
  list: () => [],
  deposit: () => undefined,
  choose: () => undefined,
};
