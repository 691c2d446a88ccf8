import t from "tap";
import { assign, assignForProfit } from "../../../../src/coordination/distribution/assign.ts";
import { SeededRandom } from "../../../../src/platform/seeded-random.ts";
import { gap1 } from "../../../support/coordination/instances.ts";

t.test("OR-Library's gap1 is solved to the optimum, with proof and without", async (t) => {
  for (const { name, optimum, ...problem } of gap1()) {
    const proven = assignForProfit(problem);
    t.match(proven, { cost: optimum, isOptimal: true }, name);
    const searched = assignForProfit(problem, { iterationsMax: 200, nodesMax: 0 });
    t.match(searched, { cost: optimum, isOptimal: false }, `${name} by search alone`);
  }
});

t.test("the same problem gets the same assignment, and more time never a worse one", async (t) => {
  const random = new SeededRandom("assign");
  const row = (least: number, most: number): number[] =>
    Array.from({ length: 30 }, () => least + Math.floor(random.next() * (most - least)));
  const loads = Array.from({ length: 6 }, () => row(5, 25));
  const problem = {
    costs: Array.from({ length: 6 }, () => row(10, 50)),
    loads,
    capacities: loads.map((each) => 0.13 * each.reduce((sum, load) => sum + load, 0)),
  };
  const costs = [20, 60, 200].map((iterationsMax) => {
    const one = assign(problem, { iterationsMax, nodesMax: 0 });
    t.same(assign(problem, { iterationsMax, nodesMax: 0 }), one);
    if (typeof one === "string") return Number.POSITIVE_INFINITY;
    for (const [agent, capacity] of problem.capacities.entries()) {
      const used = one.agentOf.reduce(
        (sum, other, job) => sum + (other === agent ? loads[agent]![job]! : 0),
        0,
      );
      t.ok(used <= capacity, `agent ${agent} keeps its capacity`);
    }
    return one.cost;
  });
  t.ok(costs[0]! >= costs[1]! && costs[1]! >= costs[2]!, costs.join(" "));
  t.ok(Number.isFinite(costs[0]));
});

t.test("what fits only one way is found, and what can not fit is said to", async (t) => {
  // Four bins of 10, filled to the brim by 7+3, 6+4, 5+5 and 8+2; each job costs the same everywhere but once.
  const sizes = [7, 3, 6, 4, 5, 5, 8, 2];
  const problem = {
    costs: [0, 1, 2, 3].map((bin) => sizes.map((_, job) => (job % 4 === bin ? 5 : 1))),
    loads: [0, 1, 2, 3].map(() => sizes),
    capacities: [10, 10, 10, 10],
  };
  t.equal(typeof assign(problem), "object");
  t.equal(typeof assign(problem, { iterationsMax: 0, nodesMax: 1_000 }), "object");
  t.equal(assign({ ...problem, capacities: [10, 10, 10, 9] }), "infeasible");
  t.equal(assign({ ...problem, capacities: [7, 7, 7, 7] }), "infeasible", "one fits nowhere");
  t.equal(assign(problem, { iterationsMax: 0, nodesMax: 0 }), "not-found");
});

t.test("a load of infinity keeps a job away; nothing to do costs nothing", async (t) => {
  const never = Number.POSITIVE_INFINITY;
  const apart = assign({
    costs: [
      [1, 1],
      [9, 9],
    ],
    loads: [
      [1, never],
      [1, 1],
    ],
    capacities: [5, 5],
  });
  t.match(apart, { agentOf: [0, 1], cost: 10, isOptimal: true });
  t.match(assign({ costs: [[]], loads: [[]], capacities: [1] }), { agentOf: [], cost: 0 });
});

t.test("what is no problem is refused by name", async (t) => {
  t.throws(() => assign({ costs: [], loads: [], capacities: [] }), /agents/);
  t.throws(() => assign({ costs: [[1, 2]], loads: [[1]], capacities: [1] }), /row/);
  t.throws(() => assign({ costs: [[Number.NaN]], loads: [[1]], capacities: [1] }), /finite/);
  t.throws(() => assign({ costs: [[1]], loads: [[-1]], capacities: [1] }), /from 0/);
});
