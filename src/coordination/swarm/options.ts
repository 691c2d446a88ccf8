/** How a map of trails behaves; to be the same on all agents, but for the bounds on its size. */
export interface PheromoneOptions {
  /** Share of a trail that evaporates in one tick, above 0 and below 1. */
  readonly decayPerTick: number;
  /** Largest deposit of one agent on one trail in one tick. What it has on a trail never exceeds this by `1 / decayPerTick`. */
  readonly depositMax: number;
  /** What has evaporated to less than this is forgotten. */
  readonly amountMin: number;
  /** How far the ticks of others may be ahead of this agent's. */
  readonly ticksAheadMax: number;
  readonly trailsMax: number;
  /** Agents whose deposits are told apart on one trail. */
  readonly originsPerTrailMax: number;
}

/** Trails fade by a tenth a tick; the bounds hold a map to a few megabytes. */
export const defaultPheromoneOptions: PheromoneOptions = {
  decayPerTick: 0.1,
  depositMax: 100,
  amountMin: 1e-4,
  ticksAheadMax: 10,
  trailsMax: 4_096,
  originsPerTrailMax: 64,
};

/** How an agent chooses among trails. */
export interface ChoiceOptions {
  /** Share of choices that take any option alike, 0 … 1. */
  readonly exploration: number;
  /** Exponent of the pheromone: how far agents follow each other. */
  readonly alpha: number;
  /** Exponent of the heuristic: how far an agent follows what it sees for itself. */
  readonly beta: number;
}

/** Where nothing is deposited yet, a trail still smells of this much: else nobody would ever take it by its heuristic. */
export const PHEROMONE_FLOOR = 0.01;

/** One choice in five explores; what an agent sees for itself counts more than what others left. */
export const defaultChoiceOptions: ChoiceOptions = { exploration: 0.2, alpha: 1, beta: 2 };
