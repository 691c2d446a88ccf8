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

/** @returns a line for each variant that ran with several seeds: the mean over them, and how far they lie apart */
export function seedsTable(runs: readonly LabRun[], axes: readonly string[]): Table | undefined {
  const variants = [...byVariant(runs).values()].filter(({ length }) => length > 1);
  if (variants.length === 0) return undefined;
  const hasOwn = runs.some(({ ownAccuracy }) => ownAccuracy !== undefined);
  const isCompressed = runs.some(({ compressionRatio }) => compressionRatio > 1);
  return {
    headings: [
      ...axes,
      "Seeds",
      "Accuracy",
      ...(hasOwn ? ["Own"] : []),
      ...(isCompressed ? ["Smaller"] : []),
    ],
    rows: variants.map((same) => [
      ...axes.map((axis) => same[0]?.labels[axis] ?? ""),
      String(same.length),
      spread(same.map(({ accuracy }) => accuracy)),
      ...(hasOwn ? [spread(same.flatMap(({ ownAccuracy }) => ownAccuracy ?? []))] : []),
      ...(isCompressed
        ? [`${mean(same.map(({ compressionRatio }) => compressionRatio)).toFixed(1)} x`]
        : []),
    ]),
  };
}

/**
 * With two axes: the mean accuracy over the seeds and, where there are several, the least and the greatest; the values of
 * the first axis below each other, those of the second side by side.
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
        const mark = cell.some(({ diverged }) => diverged !== undefined) ? " diverged" : "";
        return `${spread(cell.map(({ accuracy }) => accuracy))}${mark}`;
      }),
    ]),
  };
}

/** @returns the runs of each variant together, in order */
export function byVariant(runs: readonly LabRun[]): ReadonlyMap<number, readonly LabRun[]> {
  const variants = new Map<number, LabRun[]>();
  for (const run of inOrder(runs)) {
    const same = variants.get(run.variant);
    if (same === undefined) variants.set(run.variant, [run]);
    else same.push(run);
  }
  return variants;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** @returns nothing of nothing, one value as it is, of several `0.753 (0.749-0.796)` */
function spread(values: readonly number[]): string {
  if (values.length === 0) return "";
  const middle = mean(values).toFixed(3);
  if (values.length === 1) return middle;
  return `${middle} (${Math.min(...values).toFixed(3)}-${Math.max(...values).toFixed(3)})`;
}

/** @returns by variant and seed: with several processes runs end in any order */
export function inOrder(runs: readonly LabRun[]): readonly LabRun[] {
  return [...runs].sort((one, other) => one.variant - other.variant || one.seed - other.seed);
}
