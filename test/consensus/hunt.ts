/** Runs many seeds of one protocol: see the text of `--help`. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { FAULTS } from "../support/consensus/faults.ts";
import { isProtocol, PROTOCOLS, type Protocol } from "./protocols.ts";
import { type Limits, runSeed } from "./seed.ts";
import { commandFor, shrink } from "./shrink.ts";
import { add, addRun, noTotals, type Totals } from "./totals.ts";

const USAGE = `Usage: node test/consensus/hunt.ts --protocol NAME [options]

Runs small groups in worlds where everything goes wrong that a seed draws, and checks after every event what the
protocol promises; what clients saw is checked for linearizability. The last line is a summary in JSON.

  --protocol NAME  ${Object.keys(PROTOCOLS).join(", ")}
  --seeds N        how many (100)
  --first S        from this one on (1)
  --jobs J         processes at once (1)
  --length X       share of each world's trouble, up to 1 (1)
  --without LIST   faults that do not happen: ${FAULTS.join(", ")}
  --stop           ends with the first seed that fails
  --no-shrink      failing seeds are told as they are
  --json           nothing but the summary
  --help           this text

Exits with 0 when all seeds are well, 1 when one is not, 2 on bad usage.
`;
const BAR_WIDTH = 40;
const REPORT_EVERY_MS = 500;

interface Task {
  readonly protocol: Protocol;
  readonly first: number;
  readonly seeds: number;
  readonly limits: Limits;
  readonly isShrinking: boolean;
  readonly isStopping: boolean;
}

/** @param report hears now and then how many seeds are done */
async function hunt(task: Task, report: (done: number) => void): Promise<Totals> {
  const { protocol, first, seeds, limits, isShrinking, isStopping } = task;
  const totals = noTotals();
  let reportedAt = performance.now();
  for (let seed = first; seed < first + seeds; seed++) {
    const run = await runSeed(PROTOCOLS[protocol], seed, limits);
    addRun(totals, run);
    if (run.violation !== undefined) {
      const least = isShrinking ? await shrink(protocol, run, limits) : limits;
      const command = commandFor(protocol, seed, least);
      const one = { ...noTotals(), failures: [{ seed, ...run.violation, command }] };
      add(totals, one);
      if (isStopping) break;
    }
    if (performance.now() - reportedAt < REPORT_EVERY_MS) continue;
    reportedAt = performance.now();
    report(totals.seeds);
  }
  return totals;
}

/** Shares the seeds out among processes. */
async function huntTogether(
  task: Task,
  jobs: number,
  report: (done: number) => void,
): Promise<Totals> {
  if (jobs === 1) return hunt(task, report);
  const totals = noTotals();
  const done: number[] = [];
  const share = Math.ceil(task.seeds / jobs);
  const workers = Array.from({ length: jobs }, async (_, job) => {
    const first = task.first + job * share;
    const seeds = Math.min(share, task.first + task.seeds - first);
    if (seeds <= 0) return;
    add(
      totals,
      await huntApart({ ...task, first, seeds }, (count) => {
        done[job] = count;
        report(done.reduce((sum, each) => sum + each, 0));
      }),
    );
  });
  await Promise.all(workers);
  return totals;
}

async function huntApart(task: Task, report: (done: number) => void): Promise<Totals> {
  const { protocol, first, seeds, limits, isShrinking, isStopping } = task;
  const words = ["--protocol", protocol, "--first", `${first}`, "--seeds", `${seeds}`, "--worker"];
  if (limits.length !== 1) words.push("--length", `${limits.length}`);
  if (limits.without.size > 0) words.push("--without", [...limits.without].join(","));
  if (!isShrinking) words.push("--no-shrink");
  if (isStopping) words.push("--stop");
  const child = spawn(process.execPath, [...process.execArgv, import.meta.filename, ...words], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let totals: Totals | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    const said = JSON.parse(line) as number | Totals;
    if (typeof said === "number") report(said);
    else totals = said;
  }
  if (totals === undefined) throw new Error(`the process for seeds from ${first} on ended early`);
  return totals;
}

function drawBar(done: number, seeds: number, sinceMs: number): void {
  const filled = Math.round((BAR_WIDTH * done) / seeds);
  const leftSeconds = Math.round(((performance.now() - sinceMs) / 1_000 / done) * (seeds - done));
  const bar = `${"█".repeat(filled)}${"░".repeat(BAR_WIDTH - filled)}`;
  process.stderr.write(`\r${bar} ${done}/${seeds} seeds, ${leftSeconds} s left   `);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      protocol: { type: "string" },
      seeds: { type: "string", default: "100" },
      first: { type: "string", default: "1" },
      jobs: { type: "string", default: "1" },
      length: { type: "string", default: "1" },
      without: { type: "string", default: "" },
      stop: { type: "boolean", default: false },
      "no-shrink": { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
      // Of a process that another one has started: tells it how far it is.
      worker: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const { protocol } = values;
  if (!isProtocol(protocol))
    throw new Error(`--protocol is one of ${Object.keys(PROTOCOLS).join(", ")}`);
  const [seeds, first, jobs] = [values.seeds, values.first, values.jobs].map(Number);
  const length = Number(values.length);
  const without = new Set(values.without.split(",").filter((fault) => fault !== ""));
  for (const fault of without)
    if (!FAULTS.some((one) => one === fault)) throw new Error(`no fault is called ${fault}`);
  if (!isCount(seeds) || !isCount(jobs) || first === undefined || !Number.isSafeInteger(first))
    throw new Error("--seeds, --first and --jobs are whole numbers");
  if (!(length > 0 && length <= 1)) throw new Error("--length is more than 0, and 1 at most");
  const sinceMs = performance.now();
  const isBarShown = process.stderr.isTTY && !values.json && !values.worker;
  const report = (done: number): void => {
    if (values.worker) say(JSON.stringify(done));
    else if (isBarShown) drawBar(done, seeds, sinceMs);
  };
  const task = { protocol, first, seeds, limits: { without, length } };
  const totals = await huntTogether(
    { ...task, isShrinking: !values["no-shrink"], isStopping: values.stop },
    jobs,
    report,
  );
  if (isBarShown) process.stderr.write("\n");
  if (values.worker) {
    say(JSON.stringify(totals));
    return 0;
  }
  if (!values.json)
    for (const { seed, invariant, what, command } of totals.failures)
      say(`seed ${seed}, ${invariant}: ${what}\n  ${command}`);
  const seconds = Math.round((performance.now() - sinceMs) / 100) / 10;
  say(JSON.stringify({ protocol, first, ...totals, seconds }));
  return totals.violations === 0 ? 0 : 1;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function isCount(value: number | undefined): value is number {
  return value !== undefined && Number.isSafeInteger(value) && value >= 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`hunt: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
