import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cpuMs, root } from "./processes.ts";

/** What the lab came to in one process. */
export interface LabOutcome {
  readonly accuracy: number;
  readonly cpuMs: number;
}

/** As many of {@link runLab} side by side, so that none has the machine for itself. @returns what one comes to in the mean */
export async function runLabs(
  directory: string,
  experiment: unknown,
  count: number,
): Promise<LabOutcome> {
  const outcomes = await Promise.all(
    Array.from({ length: count }, (_, at) => {
      const own = join(directory, `lab-${at}`);
      mkdirSync(own, { recursive: true });
      return runLab(own, experiment);
    }),
  );
  const mean = (of: keyof LabOutcome): number =>
    outcomes.reduce((sum, outcome) => sum + outcome[of], 0) / count;
  return { accuracy: mean("accuracy"), cpuMs: mean("cpuMs") };
}

/** Runs an experiment in one process, by the command that a user has. @param experiment as YAML or JSON has it */
export async function runLab(directory: string, experiment: unknown): Promise<LabOutcome> {
  const file = join(directory, "lab.yaml");
  writeFileSync(file, JSON.stringify(experiment));
  const child = spawn(join(root, "bin/agent-mesh"), ["learn", "lab", file, "--json"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let said = "";
  child.stdout.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  let usedMs = 0;
  // The kernel forgets with the process: what it said last counts.
  const look = setInterval(() => {
    usedMs = Math.max(usedMs, cpuMs(child.pid ?? 0));
  }, 20);
  const code = await new Promise<number | null>((done) => {
    child.once("exit", (status) => {
      clearInterval(look);
      done(status);
    });
  });
  if (code !== 0) throw new Error(`the lab ended with ${code}: ${said}`);
  const [line = "{}"] = said.trim().split("\n");
  const { accuracy = Number.NaN } = JSON.parse(line) as { accuracy?: number };
  return { accuracy, cpuMs: usedMs };
}
