import { bytes } from "../output.ts";
import { percent } from "./lab-progress.ts";
import type { LabRun } from "./lab-run.ts";

/** A table of texts. */
export interface Table {
  readonly headings: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** @returns a line for each run */
export function summaryTable(runs: readonly LabRun[], axes: readonly string[]): Table {
  const hasTarget = runs.some(({ reachedAtRound }) => reachedAtRound !== undefined);
  const hasOwn = runs.some(({ ownAccuracy }) => ownAccuracy !== undefined);
  const architectures = architecturesOf(runs);
  const isCompressed = runs.some(({ compressionRatio }) => compressionRatio > 1);
  return {
    headings: [
      ...axes,
      "Seed",
      "Accuracy",
      "Best",
      ...(hasOwn ? ["Own"] : []),
      ...architectures,
      "Rounds",
      ...(hasTarget ? ["Reached"] : []),
      "Sent",
      ...(isCompressed ? ["Smaller"] : []),
      "End",
    ],
    rows: inOrder(runs).map((run) => [
      ...axes.map((axis) => run.labels[axis] ?? ""),
      String(run.seed),
      percent(run.accuracy),
      percent(run.bestAccuracy),
      ...(hasOwn ? [share(run.ownAccuracy)] : []),
      ...architectures.map((name) => share(run.byArchitecture?.[name])),
      String(run.rounds),
      ...(hasTarget
        ? [run.reachedAtRound === undefined ? "no" : `round ${run.reachedAtRound}`]
        : []),
      bytes(run.uploadedBytes),
      ...(isCompressed ? [`${run.compressionRatio.toFixed(1)} x`] : []),
      run.diverged === undefined ? (run.stopped === true ? "stopped" : "done") : "diverged",
    ]),
  };
}

/** @returns the names of the architectures that any run has */
export function architecturesOf(runs: readonly LabRun[]): readonly string[] {
  return [...new Set(runs.flatMap(({ byArchitecture = {} }) => Object.keys(byArchitecture)))];
}

function share(value: number | undefined): string {
  return value === undefined ? "" : percent(value);
}

/**
 * With two axes: the mean accuracy over the seeds, the values of the first axis below each other, those of the second
 * side by side.
 */
export function crossTable(runs: readonly LabRun[], axes: readonly string[]): Table | undefined {
  const [down, across] = axes;
  if (axes.length !== 2 || down === undefined || across === undefined) return undefined;
  const sorted = inOrder(runs);
  const valuesOf = (axis: string): string[] => [
    ...new Set(sorted.map(({ labels }) => labels[axis] ?? "")),
  ];
  const columns = valuesOf(across);
  return {
    headings: [`${down} \\ ${across}`, ...columns],
    rows: valuesOf(down).map((row) => [
      row,
      ...columns.map((column) => {
        const cell = sorted.filter(
          ({ labels }) => labels[down] === row && labels[across] === column,
        );
        const mean = cell.reduce((sum, { accuracy }) => sum + accuracy, 0) / cell.length;
        const mark = cell.some(({ diverged }) => diverged !== undefined) ? " diverged" : "";
        return cell.length === 0 ? "" : `${mean.toFixed(3)}${mark}`;
      }),
    ]),
  };
}

/** @returns by variant and seed: with several processes runs end in any order */
export function inOrder(runs: readonly LabRun[]): readonly LabRun[] {
  return [...runs].sort((one, other) => one.variant - other.variant || one.seed - other.seed);
}
