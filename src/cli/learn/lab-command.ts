import { ConfigError } from "../../config/resolve.ts";
import { duration, plural, print, printTable } from "../output.ts";
import { stopSignal } from "../stop-signal.ts";
import { datasetDirectory } from "./dataset-directory.ts";
import { type CheckedVariant, type Lab, readLab } from "./experiment-source.ts";
import { LabProgress } from "./lab-progress.ts";
import { type LabRun, withoutHistory } from "./lab-run.ts";
import { LabWriter } from "./lab-writer.ts";
import { type ProcessJob, runInProcesses } from "./run-in-processes.ts";
import { runVariant } from "./run-variant.ts";
import { inOrder, seedsTable, summaryTable } from "./summary-table.ts";

/** What `learn lab` was asked for. */
export interface LabOptions {
  readonly seed?: number;
  readonly data?: string;
  readonly out?: string;
  readonly jobs: number;
  readonly only?: readonly number[];
  readonly rounds?: number;
  readonly list?: true;
  readonly json?: true;
}

/**
 * Runs an experiment's variants and tells what came of them.
 * @returns the exit code
 * @throws ConfigError, YamlFileError for a file that can not be used
 */
export async function runLab(file: string, options: LabOptions): Promise<number> {
  const lab = await readLab(file);
  const variants = chosen(lab, file, options);
  if (options.list === true) return list(variants, options);
  const seeds = options.seed === undefined ? lab.seeds : [options.seed];
  const wanted = variants.flatMap((variant) => seeds.map((seed) => ({ variant, seed })));
  const isQuiet = options.json === true;
  const progress = new LabProgress(wanted.length, isQuiet);
  const runs: LabRun[] = [];
  const writer = options.out === undefined ? undefined : new LabWriter(lab, file, options.out);
  const take = (run: LabRun): void => {
    runs.push(run);
    progress.ended(run);
    if (isQuiet) print(JSON.stringify(run));
    // After each, so that what was done is kept whatever happens.
    writer?.write(runs);
  };
  const failed =
    options.jobs === 1 || wanted.length === 1
      ? await inHere(wanted, file, options, progress, take)
      : await elsewhere(wanted, file, options, take);
  const realMs = progress.end();
  const isWhole =
    failed === 0 && runs.length === wanted.length && runs.every(({ stopped }) => !stopped);
  if (!isQuiet) {
    const axes = lab.axes.map(({ name }) => name);
    const { headings, rows } = summaryTable(runs, axes);
    printTable(headings, rows, "no run ended");
    const overSeeds = seedsTable(runs, axes);
    if (overSeeds !== undefined) printTable(overSeeds.headings, overSeeds.rows, "");
    if (options.out !== undefined) print(`written to ${options.out}`);
    print(`${plural(runs.length, "run")} of ${wanted.length} in ${duration(realMs)}`);
  }
  print(
    JSON.stringify({
      name: lab.name,
      runs: runs.length,
      of: wanted.length,
      failed,
      realMs: Math.round(realMs),
      ...(!isQuiet && {
        results: inOrder(runs).map(withoutHistory),
      }),
    }),
  );
  return isWhole ? 0 : 1;
}

interface Job {
  readonly variant: CheckedVariant;
  readonly seed: number;
}

async function inHere(
  wanted: readonly Job[],
  file: string,
  options: LabOptions,
  progress: LabProgress,
  take: (run: LabRun) => void,
): Promise<number> {
  let isStopped = false;
  void stopSignal().then(() => {
    isStopped = true;
    progress.stopping();
  });
  let failed = 0;
  const places = { file, datasets: datasetDirectory(options.data) };
  for (const { variant, seed } of wanted) {
    if (isStopped) break;
    progress.begun(variant, seed);
    try {
      take(
        await runVariant(variant, seed, places, {
          onRound: (report) => progress.round(report, variant.experiment.rounds),
          isStopped: () => isStopped,
        }),
      );
    } catch (error) {
      // One that can not be run must not keep the others from it, unless there are no others.
      if (wanted.length === 1) throw asBadUsage(file, error as Error);
      failed++;
      progress.failed(variant, seed, error as Error);
    }
  }
  return failed;
}

/** Errors that say that the file asks for what can not be. */
const BAD_SETTINGS: ReadonlySet<unknown> = new Set([
  "aggregation.options",
  "aggregation.too-few",
  "data.setting",
  "lab.setting",
  "training.model",
]);

function asBadUsage(file: string, error: Error): Error {
  return BAD_SETTINGS.has((error as { code?: unknown }).code)
    ? new ConfigError(file, [error.message])
    : error;
}

async function elsewhere(
  wanted: readonly Job[],
  file: string,
  { jobs, data, rounds }: LabOptions,
  take: (run: LabRun) => void,
): Promise<number> {
  const words = ["learn", "lab", file, "--json"];
  if (data !== undefined) words.push(`--data=${data}`);
  if (rounds !== undefined) words.push(`--rounds=${rounds}`);
  const each = wanted.map(({ variant, seed }): ProcessJob => ({ variant: variant.number, seed }));
  return runInProcesses(each, { jobs, words }, take, (stop) => {
    void stopSignal().then(stop);
  });
}

/** @throws ConfigError for a number that no variant has */
function chosen(lab: Lab, file: string, { only, rounds }: LabOptions): readonly CheckedVariant[] {
  const unknown = only?.find((number) => number > lab.variants.length);
  if (unknown !== undefined)
    throw new ConfigError(file, [
      `--only: there is no variant ${unknown}, only ${lab.variants.length}; --list shows them`,
    ]);
  const variants = lab.variants.filter(({ number }) => only?.includes(number) ?? true);
  if (rounds === undefined) return variants;
  return variants.map(({ experiment, ...rest }) => ({
    ...rest,
    experiment: { ...experiment, rounds: Math.min(rounds, experiment.rounds) },
  }));
}

function list(variants: readonly CheckedVariant[], { json }: LabOptions): number {
  if (json === true) {
    for (const { number, labels, experiment } of variants)
      print(JSON.stringify({ variant: number, labels: Object.fromEntries(labels), experiment }));
    return 0;
  }
  const axes = variants[0]?.labels.map(([axis]) => axis) ?? [];
  printTable(
    ["Number", ...axes],
    variants.map(({ number, labels }) => [String(number), ...labels.map(([, value]) => value)]),
    "none",
  );
  return 0;
}
