import type { Matrix } from "./assignment-problem.ts";

/** How desirable it is to give a job to an agent; less is better. */
export type Desire = (agent: number, job: number) => number;

/** By cost, by the load, and by the share of the agent's capacity: what Martello and Toth propose for MTHG. */
export function desires({ jobs, costs, loads, capacities }: Matrix): readonly Desire[] {
  const load: Desire = (agent, job) => loads[agent * jobs + job] ?? 0;
  const share: Desire = (agent, job) => load(agent, job) / Math.max(capacities[agent] ?? 0, 1e-9);
  return [(agent, job) => costs[agent * jobs + job] ?? 0, share, load];
}

/**
 * Gives that job away next whose second best agent is worse than its best by most, since waiting would cost most there
 * (Martello and Toth 1981). A job that fits nowhere any more goes where it overloads least; the search repairs that.
 */
export function regretGreedy(matrix: Matrix, desire: Desire): Int32Array {
  const { agents, jobs, loads, capacities } = matrix;
  const left = Float64Array.from(capacities);
  const agentOf = new Int32Array(jobs).fill(-1);
  const best = new Int32Array(jobs).fill(-1);
  const secondBest = new Int32Array(jobs).fill(-1);
  const regret = new Float64Array(jobs);
  const weigh = (job: number): void => {
    let first = Number.POSITIVE_INFINITY;
    let second = Number.POSITIVE_INFINITY;
    best[job] = -1;
    secondBest[job] = -1;
    for (let agent = 0; agent < agents; agent++) {
      if ((loads[agent * jobs + job] ?? 0) > (left[agent] ?? 0)) continue;
      const value = desire(agent, job);
      if (value < first) {
        second = first;
        first = value;
        secondBest[job] = best[job] ?? -1;
        best[job] = agent;
      } else if (value < second) {
        second = value;
        secondBest[job] = agent;
      }
    }
    regret[job] = best[job] === -1 ? Number.POSITIVE_INFINITY : second - first;
  };
  for (let job = 0; job < jobs; job++) weigh(job);
  for (let count = 0; count < jobs; count++) {
    const job = mostRegretted(agentOf, regret);
    const agent = best[job] === -1 ? leastOverloaded(matrix, left, job) : (best[job] ?? 0);
    agentOf[job] = agent;
    left[agent] = (left[agent] ?? 0) - (loads[agent * jobs + job] ?? 0);
    // Only what counted on this agent, as the best one or the second, has to think again.
    for (let other = 0; other < jobs; other++)
      if (agentOf[other] === -1 && (best[other] === agent || secondBest[other] === agent))
        weigh(other);
  }
  return agentOf;
}

function mostRegretted(agentOf: Int32Array, regret: Float64Array): number {
  let chosen = -1;
  for (let job = 0; job < agentOf.length; job++)
    if (agentOf[job] === -1 && (chosen === -1 || (regret[job] ?? 0) > (regret[chosen] ?? 0)))
      chosen = job;
  return chosen;
}

function leastOverloaded({ agents, jobs, loads }: Matrix, left: Float64Array, job: number): number {
  let chosen = 0;
  let least = Number.POSITIVE_INFINITY;
  for (let agent = 0; agent < agents; agent++) {
    const over = (loads[agent * jobs + job] ?? 0) - (left[agent] ?? 0);
    if (over >= least) continue;
    least = over;
    chosen = agent;
  }
  return chosen;
}
