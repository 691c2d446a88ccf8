/** Agents that one problem can have. */
export const PROBLEM_AGENTS_MAX = 256;
/** Jobs that one problem can have. */
export const PROBLEM_JOBS_MAX = 4_096;

/**
 * The generalized assignment problem: each job to one agent, within each agent's capacity, at the least cost in sum (Martello
 * and Toth, "Knapsack Problems", 1990, chapter 7). Rows are agents, columns jobs. A load of infinity keeps a job from an agent.
 */
export interface AssignmentProblem {
  readonly costs: readonly (readonly number[])[];
  readonly loads: readonly (readonly number[])[];
  readonly capacities: readonly number[];
}

/** Which agent does each job. */
export interface Assignment {
  readonly agentOf: readonly number[];
  readonly cost: number;
  /** No assignment costs less. */
  readonly isOptimal: boolean;
}

/** The problem as a search uses it: numbers by agent and job in one run, and for each job its agents, cheapest first. */
export interface Matrix {
  readonly agents: number;
  readonly jobs: number;
  readonly costs: Float64Array;
  readonly loads: Float64Array;
  readonly capacities: Float64Array;
  /** For each job the agents whose capacity it fits in, cheapest first; -1 behind the last. */
  readonly choices: Int32Array;
}

/** @throws RangeError for a problem that is too large, ragged, or has costs that are no numbers or loads below 0 */
export function matrixOf({ costs, loads, capacities }: AssignmentProblem): Matrix {
  const agents = capacities.length;
  const jobs = costs[0]?.length ?? 0;
  if (agents === 0 || agents > PROBLEM_AGENTS_MAX || jobs > PROBLEM_JOBS_MAX)
    throw new RangeError(`1 to ${PROBLEM_AGENTS_MAX} agents, at most ${PROBLEM_JOBS_MAX} jobs`);
  const rows = [...costs, ...loads];
  if (rows.length !== 2 * agents || rows.some((row) => row.length !== jobs))
    throw new RangeError("costs and loads have a row for each agent and a column for each job");
  if (!costs.every((row) => row.every(Number.isFinite)))
    throw new RangeError("costs have to be finite");
  if (!loads.every((row) => row.every((load) => load >= 0)))
    throw new RangeError("loads have to be numbers from 0");
  const matrix = {
    agents,
    jobs,
    costs: Float64Array.from(costs.flat()),
    loads: Float64Array.from(loads.flat()),
    capacities: Float64Array.from(capacities),
    choices: new Int32Array(agents * jobs).fill(-1),
  };
  for (let job = 0; job < jobs; job++) {
    const able = capacities.flatMap((capacity, agent) =>
      (matrix.loads[agent * jobs + job] ?? 0) <= capacity ? [agent] : [],
    );
    const cost = (agent: number): number => matrix.costs[agent * jobs + job] ?? 0;
    able.sort((a, b) => cost(a) - cost(b) || a - b);
    matrix.choices.set(able, job * agents);
  }
  return matrix;
}
