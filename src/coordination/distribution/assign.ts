import {
  type Assignment,
  type AssignmentProblem,
  type Matrix,
  matrixOf,
} from "./assignment-problem.ts";
import { AssignmentSearch } from "./assignment-search.ts";
import { searchExactly } from "./exact-assignment.ts";
import { desires, regretGreedy } from "./regret-greedy.ts";

/** How long an assignment is looked for. */
export interface AssignOptions {
  /** Descents of the local search from each start. */
  readonly iterationsMax: number;
  /** Partial assignments that the exact search looks at; 0: it is not tried. */
  readonly nodesMax: number;
}

/** About a second for sixty jobs on a small device, and proof where proof is quick. */
export const defaultAssignOptions: AssignOptions = { iterationsMax: 200, nodesMax: 20_000 };

/** Where the local search found nothing at all, so much more is worth an exact one. */
const NODES_FACTOR_IF_NOTHING = 50;

/** Why there is no assignment. `infeasible`: there can be none; `not-found`: none was found within the bounds. */
export type AssignFault = "infeasible" | "not-found";

/**
 * Assigns jobs to agents: by regret, made better by local search, and at last by an exact search that proves that nothing is
 * better, or finds it, as far as its bound on nodes allows. The same problem always gets the same assignment.
 * @throws RangeError for what is no problem; see {@link matrixOf}
 */
export function assign(
  problem: AssignmentProblem,
  options: AssignOptions = defaultAssignOptions,
): Assignment | AssignFault {
  const matrix = matrixOf(problem);
  for (let job = 0; job < matrix.jobs; job++)
    if (matrix.choices[job * matrix.agents] === -1) return "infeasible";
  const found = searched(matrix, options.iterationsMax);
  const factor = found.agentOf === undefined ? NODES_FACTOR_IF_NOTHING : 1;
  const exact = searchExactly(matrix, found.cost, options.nodesMax * factor);
  const agentOf = exact.agentOf ?? found.agentOf;
  if (agentOf === undefined) return exact.isComplete ? "infeasible" : "not-found";
  const cost = agentOf.reduce(
    (sum, agent, job) => sum + (matrix.costs[agent * matrix.jobs + job] ?? 0),
    0,
  );
  return { agentOf: [...agentOf], cost, isOptimal: exact.isComplete };
}

/** The same where profit is to be as high as can be: the costs are what is lost. */
export function assignForProfit(
  { costs: profits, loads, capacities }: AssignmentProblem,
  options: AssignOptions = defaultAssignOptions,
): Assignment | AssignFault {
  const costs = profits.map((row) => row.map((profit) => -profit));
  const assignment = assign({ costs, loads, capacities }, options);
  if (typeof assignment === "string") return assignment;
  return { ...assignment, cost: -assignment.cost };
}

function searched(
  matrix: Matrix,
  iterationsMax: number,
): { readonly agentOf: Int32Array | undefined; readonly cost: number } {
  let agentOf: Int32Array | undefined;
  let cost = Number.POSITIVE_INFINITY;
  for (const desire of desires(matrix)) {
    const search = new AssignmentSearch(matrix, regretGreedy(matrix, desire));
    for (let iteration = 0; iteration < iterationsMax; iteration++) search.iterate();
    if (search.best === undefined || search.bestCost >= cost) continue;
    agentOf = search.best;
    cost = search.bestCost;
  }
  return { agentOf, cost };
}
