import type { RunResult } from "./one-run.ts";

/** Figures of all runs that had a fault in them. */
export interface FaultRow {
  readonly fault: string;
  readonly runs: number;
  readonly acknowledged: number;
  readonly lost: number;
  /** Destroyed by damage to the disk, which the agent told. */
  readonly toldLost: number;
  readonly duplicates: number;
  /** Arrivals of ids that had arrived already: what deduplicating took out. */
  readonly repeated: number;
  readonly outOfOrder: number;
  readonly medianRecoveryMs: number | undefined;
}

/** What all runs came to. */
export interface Summary {
  readonly ok: boolean;
  readonly runs: number;
  readonly failed: readonly string[];
  readonly seconds: number;
  readonly total: FaultRow;
  readonly faults: readonly FaultRow[];
}

/** Adds up. A run counts at every fault that it had. */
export function summarize(results: readonly RunResult[]): Summary {
  const names = new Set(
    results.flatMap(({ schedule }) => schedule.steps.map(({ fault }) => fault)),
  );
  const having = (name: string) =>
    results.filter(({ schedule }) => schedule.steps.some(({ fault }) => fault === name));
  const failed = results.filter(({ ok }) => !ok);
  return {
    ok: failed.length === 0,
    runs: results.length,
    failed: failed.map(({ schedule }) => schedule.seed),
    seconds: results.reduce((sum, { seconds }) => sum + seconds, 0),
    total: rowOf("all", results, () => true),
    faults: [...names].sort().map((name) => rowOf(name, having(name), (fault) => fault === name)),
  };
}

function rowOf(
  fault: string,
  results: readonly RunResult[],
  isMeant: (fault: string) => boolean,
): FaultRow {
  const sum = (figure: (result: RunResult) => number) =>
    results.reduce((total, result) => total + figure(result), 0);
  const recoveries = results
    .flatMap((result) => result.recoveries.filter((one) => isMeant(one.fault)))
    .map(({ ms }) => ms)
    .sort((a, b) => a - b);
  return {
    fault,
    runs: results.length,
    acknowledged: sum(({ verdict }) => verdict.acknowledged),
    lost: sum(({ verdict }) => verdict.lost.length),
    toldLost: sum(({ toldLost }) => toldLost),
    duplicates: sum(({ verdict }) => verdict.duplicates.length),
    repeated: sum(({ verdict }) => verdict.repeated),
    outOfOrder: sum(({ verdict }) => verdict.disordered.length + verdict.overtaken.length),
    medianRecoveryMs: recoveries[Math.floor(recoveries.length / 2)],
  };
}

const HEAD = [
  "fault",
  "runs",
  "acknowledged",
  "lost",
  "duplicates",
  "repeated on the wire",
  "out of order",
  "destroyed and told",
  "median recovery",
];

/** The summary for people. */
export function table({ faults, total, runs, failed, seconds }: Summary): string {
  const rows = [...faults, total].map((row) => [
    row.fault,
    String(row.runs),
    String(row.acknowledged),
    String(row.lost),
    String(row.duplicates),
    String(row.repeated),
    String(row.outOfOrder),
    String(row.toldLost),
    row.medianRecoveryMs === undefined ? "-" : `${Math.round(row.medianRecoveryMs)} ms`,
  ]);
  const widths = HEAD.map((head, at) =>
    Math.max(head.length, ...rows.map((row) => row[at]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
      .join("  ");
  const verdict = failed.length === 0 ? "nothing was lost" : `FAILED: ${failed.join(", ")}`;
  return [
    line(HEAD),
    ...rows.map(line),
    "",
    `${runs} runs, ${seconds.toFixed(0)} s of runs: ${verdict}`,
  ].join("\n");
}
