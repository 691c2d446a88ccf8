import type { Matrix } from "./assignment-problem.ts";

/** What an exact search found. `isComplete`: there is nothing better, and nothing at all where none was found. */
export interface ExactResult {
  readonly agentOf: Int32Array | undefined;
  readonly cost: number;
  readonly isComplete: boolean;
}

/**
 * Depth-first branch and bound: jobs with the fewest agents and the largest loads first, cheapest agent first, cut off where
 * even the cheapest agents that still have room for each of the others cost as much as the best that is known.
 * @param below only what costs less is looked for
 * @param nodesMax how many partial assignments are looked at
 */
export function searchExactly(matrix: Matrix, below: number, nodesMax: number): ExactResult {
  const { agents, jobs, costs, loads, capacities, choices } = matrix;
  const order = hardestFirst(matrix);
  const left = Float64Array.from(capacities);
  const agentOf = new Int32Array(jobs).fill(-1);
  let best: Int32Array | undefined;
  let bestCost = below;
  let nodes = 0;

  /** What the jobs from a depth on cost at least; infinity when one of them fits nowhere. */
  const bound = (depth: number): number => {
    let sum = 0;
    let leastLoad = 0;
    for (let at = depth; at < jobs; at++) {
      const job = order[at] ?? 0;
      let cheapest = Number.POSITIVE_INFINITY;
      let lightest = Number.POSITIVE_INFINITY;
      for (let choice = job * agents; choice < (job + 1) * agents; choice++) {
        const agent = choices[choice] ?? -1;
        if (agent === -1) break;
        const load = loads[agent * jobs + job] ?? 0;
        if (load > (left[agent] ?? 0)) continue;
        if (cheapest === Number.POSITIVE_INFINITY) cheapest = costs[agent * jobs + job] ?? 0;
        lightest = Math.min(lightest, load);
      }
      if (cheapest === Number.POSITIVE_INFINITY) return cheapest;
      sum += cheapest;
      leastLoad += lightest;
    }
    let room = 0;
    for (let agent = 0; agent < agents; agent++) room += left[agent] ?? 0;
    return leastLoad > room ? Number.POSITIVE_INFINITY : sum;
  };

  const descend = (depth: number, cost: number): void => {
    if (depth === jobs) {
      best = agentOf.slice();
      bestCost = cost;
      return;
    }
    if (nodes++ >= nodesMax || cost + bound(depth) >= bestCost) return;
    const job = order[depth] ?? 0;
    for (let choice = job * agents; choice < (job + 1) * agents; choice++) {
      const agent = choices[choice] ?? -1;
      if (agent === -1) return;
      const at = agent * jobs + job;
      const load = loads[at] ?? 0;
      if (load > (left[agent] ?? 0)) continue;
      const before = left[agent] ?? 0;
      left[agent] = before - load;
      agentOf[job] = agent;
      descend(depth + 1, cost + (costs[at] ?? 0));
      left[agent] = before;
      if (nodes >= nodesMax) return;
    }
  };
  descend(0, 0);
  return { agentOf: best, cost: bestCost, isComplete: nodes < nodesMax };
}

function hardestFirst({ agents, jobs, loads, choices }: Matrix): readonly number[] {
  const hardness = Array.from({ length: jobs }, (_, job) => {
    let able = 0;
    let load = 0;
    for (let choice = job * agents; choice < (job + 1) * agents; choice++) {
      const agent = choices[choice] ?? -1;
      if (agent === -1) break;
      able++;
      load += loads[agent * jobs + job] ?? 0;
    }
    return { job, able, load: able === 0 ? 0 : load / able };
  });
  return hardness
    .sort((a, b) => a.able - b.able || b.load - a.load || a.job - b.job)
    .map(({ job }) => job);
}
