import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Scenario } from "../../simulator/run/scenario.ts";
import { simulate } from "../../simulator/run/simulation.ts";
import { duration, plural, print } from "../output.ts";
import { summaryOf } from "./one-seed.ts";
import type { SimulateOptions } from "./options.ts";
import { ProgressLine } from "./progress-line.ts";
import { commandOf } from "./scenario-source.ts";

/** Seeds that a process takes at once: then another one does, so that memory is given back. */
const SEEDS_PER_PROCESS = 20;

type Summary = ReturnType<typeof summaryOf>;

/** Runs seed after seed, several processes side by side, and counts what fails. @returns the exit code */
export async function simulateMany(
  scenario: Scenario,
  options: SimulateOptions,
  seeds: { readonly first: number; readonly count: number },
): Promise<number> {
  const quiet = options.json === true;
  const progress = new ProgressLine(quiet);
  const failed: Summary[] = [];
  let done = 0;
  let faults = 0;
  const take = (summary: Summary): void => {
    done++;
    faults += summary.faults;
    if (quiet) print(JSON.stringify(summary));
    progress.note(`${done} of ${plural(seeds.count, "seed")}, ${failed.length} failed`);
    if (summary.violations === 0) return;
    failed.push(summary);
    if (quiet) return;
    progress.end();
    print(`seed ${summary.seed}: ${summary.first?.promise}: ${summary.first?.what}`);
    print(`  ${commandOf(options, { seed: summary.seed, hours: scenario.hours })}`);
  };
  if (options.jobs === 1 && seeds.count <= SEEDS_PER_PROCESS)
    await inHere(options, scenario, seeds, take);
  else await inProcesses(options, scenario, seeds, take);
  const realMs = progress.end();
  if (!quiet)
    print(
      `${plural(done, "seed")} with ${plural(faults, "fault")} in ${duration(realMs)}: ${failed.length} failed`,
    );
  print(
    JSON.stringify({
      seeds: done,
      firstSeed: seeds.first,
      agents: scenario.agents,
      faults,
      realMs: Math.round(realMs),
      failed: failed.map(({ seed }) => seed),
    }),
  );
  return failed.length === 0 && done === seeds.count ? 0 : 1;
}

async function inHere(
  { failFast }: SimulateOptions,
  scenario: Scenario,
  { first, count }: { readonly first: number; readonly count: number },
  take: (summary: Summary) => void,
): Promise<void> {
  for (let seed = first; seed < first + count; seed++) {
    const startMs = performance.now();
    const result = await simulate({ scenario, seed: String(seed), failFast: failFast === true });
    take(summaryOf(result, performance.now() - startMs));
  }
}

async function inProcesses(
  options: SimulateOptions,
  scenario: Scenario,
  { first, count }: { readonly first: number; readonly count: number },
  take: (summary: Summary) => void,
): Promise<void> {
  let next = first;
  const worker = async (): Promise<void> => {
    while (next < first + count) {
      const seeds = Math.min(SEEDS_PER_PROCESS, first + count - next);
      const from = next;
      next += seeds;
      await inProcess(options, scenario, { first: from, count: seeds }, take);
    }
  };
  await Promise.all(Array.from({ length: options.jobs }, worker));
}

/** @throws Error when the process did not do what it was asked for */
async function inProcess(
  { scenario: name, failFast }: SimulateOptions,
  { agents, hours, intensity }: Scenario,
  { first, count }: { readonly first: number; readonly count: number },
  take: (summary: Summary) => void,
): Promise<void> {
  const words: string[] = [
    ...process.execArgv,
    process.argv[1] ?? "",
    "simulate",
    "--json",
    "--jobs=1",
    `--scenario=${name}`,
    `--agents=${agents}`,
    `--hours=${hours}`,
    ...(intensity > 0 ? [`--intensity=${intensity}`] : []),
    ...(failFast ? ["--fail-fast"] : []),
    `--seed=${first}`,
    `--seeds=${count}`,
  ];
  const child = spawn(process.execPath, words, { stdio: ["ignore", "pipe", "inherit"] });
  let told = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    const summary = JSON.parse(line) as Partial<Summary>;
    if (summary.traceHash === undefined) continue;
    told++;
    take(summary as Summary);
  }
  if (told < count)
    throw new Error(`the process for seeds ${first} to ${first + count - 1} ended after ${told}`);
}
