// From sensors on MQTT to anomalies, by a fleet of agents on this machine: see `--help`.
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Crew } from "./crew.ts";
import { type ExampleOptions, HELP, readOptions } from "./options.ts";
import { machineSeries } from "./series.ts";
import { story } from "./story.ts";

const beganMs = performance.now();

function tell(line: string): void {
  const at = ((performance.now() - beganMs) / 1_000).toFixed(1).padStart(6);
  process.stdout.write(`${at} s  ${line}\n`);
}

async function perform(options: ExampleOptions): Promise<number> {
  const series = await machineSeries();
  tell(`the series: ${series.source}`);
  const directory = await mkdtemp(join(tmpdir(), "agent-mesh-anomaly-"));
  const crew = await Crew.gather(directory, series);
  const interrupted = new Promise<"interrupted">((done) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const)
      process.once(signal, () => done("interrupted"));
  });
  try {
    const seen = await Promise.race([story(crew, directory, series, options, tell), interrupted]);
    if (seen === "interrupted") {
      tell("interrupted");
      return 1;
    }
    for (const { what, ok } of seen)
      process.stdout.write(`${ok ? "seen    " : "NOT SEEN"}  ${what}\n`);
    if (options.keepRunning) {
      for (const { agent } of crew.living)
        tell(`${agent.name} goes on: ${agent.api}, token in ${join(agent.data, "admin.token")}`);
      tell("Ctrl-C ends them");
      await interrupted;
    }
    return seen.every(({ ok }) => ok) ? 0 : 1;
  } finally {
    await crew.dismiss();
    tell("all processes are ended, all files are removed");
  }
}

const options = readOptions(process.argv.slice(2));
if (options === "help") process.stdout.write(HELP);
else if (typeof options === "string") {
  process.stderr.write(`${options}\n\n${HELP}`);
  process.exitCode = 2;
} else {
  const code = await perform(options).catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  });
  // Interrupted, the story still waits for something that does not come any more.
  process.exit(code);
}
