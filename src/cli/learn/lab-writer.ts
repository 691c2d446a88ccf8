import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Lab } from "./experiment-source.ts";
import { labReport } from "./lab-report.ts";
import { type LabRun, withoutHistory } from "./lab-run.ts";
import {
  architecturesOf,
  crossTable,
  inOrder,
  seedsTable,
  summaryTable,
  type Table,
} from "./summary-table.ts";

/** Writes what came of the runs so far, anew after each, so that ending sooner loses nothing. */
export class LabWriter {
  readonly #lab: Lab;
  readonly #file: string;
  readonly #directory: string;

  /** @throws Error when the directory can not be made */
  constructor(lab: Lab, file: string, directory: string) {
    this.#lab = lab;
    this.#file = file;
    this.#directory = directory;
    mkdirSync(directory, { recursive: true });
  }

  write(runs: readonly LabRun[]): void {
    const axes = this.#lab.axes.map(({ name }) => name);
    const table = summaryTable(runs, axes);
    const cross = crossTable(runs, axes);
    const seeds = seedsTable(runs, axes);
    this.#replace("rounds.csv", csv(rounds(runs, axes)));
    this.#replace("table.csv", csv(cross ?? table));
    const sorted = inOrder(runs);
    this.#replace("runs.json", `${JSON.stringify(sorted.map(withoutHistory), null, 2)}\n`);
    this.#replace(
      "report.html",
      labReport({
        name: this.#lab.name,
        file: this.#file,
        runs: sorted,
        table,
        ...(cross !== undefined && { cross }),
        ...(seeds !== undefined && { seeds }),
        experiment: this.#lab.variants[0]?.experiment,
      }),
    );
  }

  /** Whoever looks sees the old file or the new one. */
  #replace(name: string, text: string): void {
    const file = join(this.#directory, name);
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  }
}

function rounds(runs: readonly LabRun[], axes: readonly string[]): Table {
  const architectures = architecturesOf(runs);
  return {
    headings: [
      ...axes,
      "seed",
      "round",
      "trainLoss",
      "accuracy",
      "testLoss",
      "uploadedBytes",
      "compressionError",
      "ownAccuracy",
      ...architectures,
    ],
    rows: inOrder(runs).flatMap(({ labels, seed, history }) =>
      history.map((report) => [
        ...axes.map((axis) => labels[axis] ?? ""),
        ...[
          seed,
          report.round,
          report.trainLoss,
          report.accuracy,
          report.testLoss,
          report.uploadedBytes,
          report.compressionError,
          report.ownAccuracy,
          ...architectures.map((name) => report.byArchitecture?.[name]),
        ].map((value) => (value === undefined ? "" : String(value))),
      ]),
    ),
  };
}

function csv({ headings, rows }: Table): string {
  return [headings, ...rows].map((row) => `${row.map(cell).join(",")}\n`).join("");
}

/** RFC 4180. */
function cell(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
