/** Runs the agent through faults that are drawn from a seed, and looks for readings that got lost. */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { mosquittoMissing } from "../test/support/mosquitto.ts";
import { FAULTS } from "./catalogue.ts";
import { SmallDisk } from "./disk.ts";
import { oneRun, type RunResult } from "./one-run.ts";
import { straceUnavailable } from "./parts/strace.ts";
import { drawSchedule } from "./schedule.ts";
import { summarize, table } from "./table.ts";
import { Upstream } from "./world.ts";

const PROGRESS_RUNS = 100;

const usage = `Usage: npm run faults -- [options]

Each run draws traffic and faults from its seed, lets them happen to the built agent between real brokers, heals
everything, and compares what a receiver that looks at ids has with what was acknowledged.

  --runs N       how many (100)
  --seed X       a word; the same one gives the same runs (a random one, which is printed)
  --only NAMES   comma-separated faults to draw from
  --run SEED     one single run, as it is named when it fails
  --jobs N       runs at once (2)
  --json         one JSON document instead of the table
  --help         this text

Faults:
${FAULTS.map(({ name, about }) => `  ${name.padEnd(20)} ${about}`).join("\n")}

Exits with 0 when nothing was lost, 1 when something was, 2 on bad usage.
`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      runs: { type: "string", default: "100" },
      seed: { type: "string", default: randomBytes(4).toString("hex") },
      only: { type: "string" },
      run: { type: "string" },
      jobs: { type: "string", default: "2" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  const missing = mosquittoMissing();
  if (missing !== false) throw new Error(missing);
  const only = values.only?.split(",");
  const unknown = only?.find((name) => !FAULTS.some((fault) => fault.name === name));
  if (unknown !== undefined) throw new Error(`--only: there is no fault '${unknown}'; see --help`);
  const probe = SmallDisk.mount();
  probe?.unmount();
  const lacking = {
    strace: straceUnavailable(),
    mount: probe === undefined && "needs root, to mount a small disk",
  };
  const faults = FAULTS.filter(({ name, needs }) => {
    if (only !== undefined && !only.includes(name)) return false;
    const reason = needs === undefined ? false : lacking[needs];
    if (reason !== false) console.error(`faults: left out ${name}: ${reason}`);
    return reason === false;
  });
  if (faults.length === 0) throw new Error("no fault is left to draw from");
  const seeds =
    values.run === undefined
      ? Array.from({ length: positive(values.runs, "--runs") }, (_, n) => `${values.seed}-${n}`)
      : [values.run];
  const count = seeds.length;
  if (!values.json) console.log(`seed ${values.seed}, ${count} runs`);
  // Runs under way are finished, so that nothing is left behind.
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.once(signal, () => seeds.splice(0, seeds.length));
  const results: RunResult[] = [];
  const work = async (): Promise<void> => {
    const root = mkdtempSync(join(tmpdir(), "faults-"));
    const disk = probe === undefined ? undefined : SmallDisk.mount();
    const upstream = await Upstream.create();
    try {
      for (let seed = seeds.shift(); seed !== undefined; seed = seeds.shift()) {
        const schedule = drawSchedule(seed, faults, disk !== undefined);
        const place = schedule.disk === "small" && disk !== undefined ? disk.path : root;
        const result = await oneRun(schedule, { root: place, disk, upstream });
        results.push(result);
        if (!result.ok) report(result, values.only);
        if (!values.json) progress(results.length, count);
      }
    } finally {
      await upstream.end();
      const keep = results.some(({ ok }) => !ok);
      if (!keep) disk?.unmount();
      if (!keep) rmSync(root, { recursive: true, force: true });
    }
  };
  await Promise.all(Array.from({ length: positive(values.jobs, "--jobs") }, work));
  const summary = summarize(results);
  console.log(
    values.json ? JSON.stringify({ seed: values.seed, ...summary }, null, 2) : table(summary),
  );
  return summary.ok ? 0 : 1;
}

/** On a terminal, always; in a log, now and then. */
function progress(done: number, count: number): void {
  if (process.stdout.isTTY) process.stdout.write(`\r${done} of ${count} `);
  else if (done % PROGRESS_RUNS === 0) console.log(`${done} of ${count} done`);
}

function report({ schedule, failure, kept, verdict }: RunResult, only: string | undefined): void {
  const drawn = only === undefined ? "" : ` --only ${only}`;
  console.error(`FAIL run ${schedule.seed}: ${failure ?? ""}
  acknowledged ${verdict.acknowledged}, lost ${verdict.lost.length}: ${verdict.lost.slice(0, 10).join(", ")}
  schedule ${JSON.stringify(schedule)}
  again: npm run faults -- --run ${schedule.seed}${drawn}; its data: ${kept}`);
}

function positive(text: string, option: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 1)
    throw new Error(`${option}: not a number from 1`);
  return number;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`faults: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 2;
}
