import { assign, assignForProfit } from "../../src/coordination/distribution/assign.ts";
import type { AssignmentProblem } from "../../src/coordination/distribution/assignment-problem.ts";
import { AntColony, defaultColonyOptions } from "../../src/coordination/swarm/ant-colony.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { gap1, tsplib } from "../../test/support/coordination/instances.ts";
import { type Bar, type Figure, figure, median, rounded } from "../figure.ts";
import { loadHighs } from "../support/highs.ts";

const GAP_SEEDS = 20;
/** For one instance of the exact solver; an instance that is not proven by then does not count. */
const PROOF_TIMEOUT_S = 60;
const COLONY_SEEDS = 10;
const ITERATIONS = 1_500;
const TOURS = [
  { name: "berlin52", optimum: 7_542, percent: { floor: 1.5, goal: 0.5 } },
  { name: "eil51", optimum: 426, percent: { floor: 2, goal: 1 } },
] as const;

/** How good assignments and tours are, beside optima that are known or proven in the same run. */
export async function* run(): AsyncGenerator<Figure> {
  yield* orLibrary();
  yield* await besideHighs();
  for (const { name, optimum, percent } of TOURS) yield* tours(name, optimum, percent);
}

const of = (metric: string, unit: string, value: number, bar: Bar): Figure =>
  figure({ suite: "coordination", metric, unit, value, bar });

function* orLibrary(): Generator<Figure> {
  for (const { name, optimum, ...problem } of gap1()) {
    const assignment = assignForProfit(problem);
    const profit = typeof assignment === "string" ? 0 : assignment.cost;
    yield {
      ...of(`assignment of gap1 ${name}, profit`, "", profit, {
        floor: 0.95 * optimum,
        goal: optimum,
        better: "higher",
      }),
      peer: "optimum of OR-Library",
      peerValue: optimum,
      ratio: rounded(profit / optimum),
    };
  }
}

/** Random instances as of type C of the literature: loads 5 … 25, costs 10 … 50, capacities at 0.8 of the mean. */
function randomProblem(seed: number): AssignmentProblem {
  const random = new SeededRandom(`gap/${seed}`);
  const between = (least: number, most: number): number =>
    least + Math.floor(random.next() * (most - least + 1));
  const agents = between(5, 10);
  const jobs = between(20, 60);
  const rows = (least: number, most: number): number[][] =>
    Array.from({ length: agents }, () => Array.from({ length: jobs }, () => between(least, most)));
  const loads = rows(5, 25);
  const capacities = loads.map((row) =>
    Math.floor((0.8 * row.reduce((sum, load) => sum + load, 0)) / agents),
  );
  return { costs: rows(10, 50), loads, capacities };
}

async function besideHighs(): Promise<readonly Figure[]> {
  const highs = await loadHighs();
  const gaps: number[] = [];
  const ourMs: number[] = [];
  const theirMs: number[] = [];
  for (let seed = 0; seed < GAP_SEEDS; seed++) {
    const problem = randomProblem(seed);
    const fromMs = performance.now();
    const assignment = assign(problem);
    const betweenMs = performance.now();
    const proven = highs.solve(linearProgram(problem), { time_limit: PROOF_TIMEOUT_S });
    theirMs.push(performance.now() - betweenMs);
    ourMs.push(betweenMs - fromMs);
    if (proven.Status === "Infeasible") continue;
    if (proven.Status !== "Optimal") {
      console.error(`coordination: seed ${seed} was not proven in ${PROOF_TIMEOUT_S} s`);
      continue;
    }
    const cost = typeof assignment === "string" ? Number.POSITIVE_INFINITY : assignment.cost;
    gaps.push((100 * (cost - proven.ObjectiveValue)) / proven.ObjectiveValue);
  }
  const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
  const above = `random assignments, ${gaps.length} of ${GAP_SEEDS} seeds, above the proven optimum`;
  return [
    of(`${above}, mean`, "%", mean, { floor: 5, goal: 1, better: "lower" }),
    of(`${above}, worst`, "%", Math.max(...gaps), { floor: 5, goal: 2, better: "lower" }),
    {
      ...of("random assignments, time of one", "ms", median(ourMs), {
        floor: 10_000,
        goal: 2_000,
        better: "lower",
      }),
      peer: "highs",
      peerValue: rounded(median(theirMs)),
      ratio: rounded(median(ourMs.map((ms, at) => ms / (theirMs[at] ?? Number.NaN)))),
    },
  ];
}

/** In CPLEX's LP format, which the solver reads. */
function linearProgram({ costs, loads, capacities }: AssignmentProblem): string {
  const jobs = costs[0] ?? [];
  const lines = ["Minimize", " cost:"];
  for (const [agent, row] of costs.entries()) lines.push(sum(row, (job) => `x${agent}_${job}`));
  lines.push("Subject To");
  for (const job of jobs.keys())
    lines.push(
      ` job${job}: ${sum(
        capacities.map(() => 1),
        (agent) => `x${agent}_${job}`,
      )} = 1`,
    );
  for (const [agent, row] of loads.entries())
    lines.push(` agent${agent}: ${sum(row, (job) => `x${agent}_${job}`)} <= ${capacities[agent]}`);
  lines.push("Binary");
  for (const agent of costs.keys()) for (const job of jobs.keys()) lines.push(` x${agent}_${job}`);
  lines.push("End");
  return lines.join("\n");
}

function sum(factors: readonly number[], name: (at: number) => string): string {
  return factors.map((factor, at) => `+ ${factor} ${name(at)}`).join(" ");
}

/** A colony stops at the optimum: nothing that it did after that would change the figure. */
function* tours(
  name: (typeof TOURS)[number]["name"],
  optimum: number,
  percent: { readonly floor: number; readonly goal: number },
): Generator<Figure> {
  const distances = tsplib(name);
  const lengths: number[] = [];
  let iterations = 0;
  let spentMs = 0;
  for (let seed = 0; seed < COLONY_SEEDS; seed++) {
    const random = new SeededRandom(`${name}/${seed}`);
    const colony = new AntColony({ distances, random, options: defaultColonyOptions });
    const fromMs = performance.now();
    let length = Number.POSITIVE_INFINITY;
    while (length > optimum && colony.iteration < ITERATIONS) length = colony.iterate();
    spentMs += performance.now() - fromMs;
    iterations += colony.iteration;
    lengths.push(length);
  }
  const mean = lengths.reduce((sum, length) => sum + length, 0) / lengths.length;
  const runs = `${name}, ${COLONY_SEEDS} seeds of ${defaultColonyOptions.ants} ants and at most ${ITERATIONS} iterations`;
  const above = (100 * (mean - optimum)) / optimum;
  yield of(`${runs}, mean above the optimum`, "%", above, { ...percent, better: "lower" });
  const found = lengths.filter((length) => length === optimum).length;
  yield of(`${runs}, seeds that found it`, "", found, { floor: 1, goal: 10, better: "higher" });
  yield of(`${runs}, iterations until then`, "", iterations / COLONY_SEEDS, {
    floor: ITERATIONS,
    goal: 200,
    better: "lower",
  });
  yield of(`${name}, time of an iteration`, "ms", spentMs / iterations, {
    floor: 50,
    goal: 5,
    better: "lower",
  });
}
