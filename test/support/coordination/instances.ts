// Public problems whose optimum is known, read from bench/instances.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { AssignmentProblem } from "../../../src/coordination/distribution/assignment-problem.ts";
import { Distances, type Point } from "../../../src/coordination/swarm/distances.ts";

const data = resolve(import.meta.dirname, "../../../bench/instances");

/** An instance of OR-Library's gap1; `costs` are profits. */
export interface ProfitProblem extends AssignmentProblem {
  readonly name: string;
  readonly optimum: number;
}

export function gap1(): readonly ProfitProblem[] {
  const numbers = readFileSync(resolve(data, "gap1.txt"), "utf8")
    .split("\n")
    .filter((line) => !line.startsWith("#"))
    .join(" ")
    .trim()
    .split(/\s+/)
    .map(Number)
    .values();
  const next = (): number => numbers.next().value ?? Number.NaN;
  const row = (length: number): number[] => Array.from({ length }, next);
  return Array.from({ length: next() }, (_, at) => {
    const agents = next();
    const jobs = next();
    return {
      name: `c515-${at + 1}`,
      costs: Array.from({ length: agents }, () => row(jobs)),
      loads: Array.from({ length: agents }, () => row(jobs)),
      capacities: row(agents),
      optimum: next(),
    };
  });
}

export function tsplib(name: "berlin52" | "eil51"): Distances {
  const points = readFileSync(resolve(data, `${name}.tsp`), "utf8")
    .split("\n")
    .filter((line) => /^\d/.test(line))
    .map((line): Point => {
      const [, x, y] = line.split(" ").map(Number);
      return [x ?? Number.NaN, y ?? Number.NaN];
    });
  return Distances.roundedEuclidean(points);
}
