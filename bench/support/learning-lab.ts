import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { cpuMs, root } from "./processes.ts";

/** What the lab came to in one process. */
export interface LabOutcome {
  readonly accuracy: number;
  readonly cpuMs: number;
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
