// What a reader of the lab's tables and plots relies on: means over seeds, the range, and axes that hold every point.
import t from "tap";
import { labPlot } from "../../../src/cli/learn/lab-plot.ts";
import type { LabRun } from "../../../src/cli/learn/lab-run.ts";
import { crossTable, seedsTable } from "../../../src/cli/learn/summary-table.ts";

function run(variant: number, seed: number, accuracy: number, more: Partial<LabRun> = {}): LabRun {
  const labels = {
    rule: variant < 3 ? "mean" : "median",
    attack: variant % 2 === 1 ? "none" : "noise",
  };
  return {
    variant,
    seed,
    accuracy,
    labels,
    compressionRatio: 1,
    history: [],
    ...more,
  } as unknown as LabRun;
}

t.test("a line and a cell for each variant: mean, least and greatest over its seeds", async (t) => {
  const runs = [run(2, 2, 0.5), run(1, 1, 0.9), run(2, 1, 0.7), run(1, 2, 0.8), run(3, 1, 0.6)];
  t.same(seedsTable(runs, ["rule", "attack"]), {
    headings: ["rule", "attack", "Seeds", "Accuracy"],
    rows: [
      ["mean", "none", "2", "0.850 (0.800-0.900)"],
      ["mean", "noise", "2", "0.600 (0.500-0.700)"],
    ],
  });
  t.same(crossTable(runs, ["rule", "attack"])?.rows, [
    ["mean", "0.850 (0.800-0.900)", "0.600 (0.500-0.700)"],
    ["median", "0.600", ""],
  ]);
  const diverged = run(3, 2, 0.1, { diverged: "round 3" });
  t.match(crossTable([...runs, diverged], ["rule", "attack"])?.rows[1], [/median/, / diverged$/]);
  t.equal(seedsTable([run(1, 1, 0.9), run(2, 1, 0.9)], ["rule"]), undefined, "one seed each");
  const own = [run(1, 1, 0.9, { ownAccuracy: 0.5, compressionRatio: 50 }), run(1, 2, 0.9)];
  t.same(seedsTable(own, ["rule"])?.rows, [
    ["mean", "2", "0.900 (0.900-0.900)", "0.500", "25.5 x"],
  ]);
});

t.test("a plot holds every point between round numbers, and names groups once", async (t) => {
  t.equal(labPlot("empty", [{ name: "none", lines: [{ name: "seed 1", points: [] }] }]), "");
  const line = (name: string, ...ys: number[]) => ({
    name,
    points: ys.map((y, at): [number, number] => [at + 1, y]),
  });
  for (const ys of [[0.841, 0.962], [0.5], [0], [3e-7, 2e-7], [-4, 1_234_567]]) {
    const plot = labPlot("a < b", [
      { name: "x & y", lines: [line("seed 1", ...ys), line("seed 2", ...ys)] },
    ]);
    t.match(plot, "a &lt; b");
    t.equal(plot.split("x &amp; y</span>").length, 2, "one entry in the key");
    t.notMatch(plot, /NaN|Infinity/);
    const drawn = [...plot.matchAll(/points="([^"]*)"/g)].flatMap(([, points = ""]) =>
      points.split(" "),
    );
    t.equal(drawn.length, 2 * ys.length);
    for (const point of drawn) {
      const [x = Number.NaN, y = Number.NaN] = point.split(",").map(Number);
      t.ok(x >= 56 && x <= 884 && y >= 12 && y <= 290, point);
    }
  }
  const plot = labPlot("percent", [{ name: "x", lines: [line("seed 1", 0.841, 0.962)] }]);
  for (const tick of ["0.80", "0.85", "0.95", "1.00"]) t.match(plot, `>${tick}</text>`);
});
