import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { LabRun } from "./lab-run.ts";

/** What a process is started for. */
export interface ProcessJob {
  readonly variant: number;
  readonly seed: number;
}

/**
 * Runs each job in a process of its own, `jobs` of them side by side: training takes a whole core and gives its memory
 * back when it ends.
 *
 * @param words of the command that runs one job, without its variant and seed
 * @param take each run as it ends
 * @param onStop calls back when somebody asks for the end: processes are asked to, and no more are started
 * @returns how many jobs failed
 */
export async function runInProcesses(
  wanted: readonly ProcessJob[],
  { jobs, words }: { readonly jobs: number; readonly words: readonly string[] },
  take: (run: LabRun) => void,
  onStop: (stop: () => void) => void,
): Promise<number> {
  const running = new Set<ReturnType<typeof start>>();
  const left = [...wanted];
  onStop(() => {
    left.length = 0;
    for (const child of running) child.kill("SIGTERM");
  });
  // Whoever does not want to wait for the end of a round must not leave processes behind.
  process.once("exit", () => {
    for (const child of running) child.kill("SIGKILL");
  });
  let failed = 0;
  const worker = async (): Promise<void> => {
    for (let job = left.shift(); job !== undefined; job = left.shift()) {
      const child = start(words, job);
      running.add(child);
      let isTold = false;
      for await (const line of createInterface({ input: child.stdout })) {
        const run = JSON.parse(line) as Partial<LabRun>;
        if (run.weightsHash === undefined) continue;
        isTold = true;
        take(run as LabRun);
      }
      running.delete(child);
      if (!isTold) failed++;
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
  return failed;
}

function start(words: readonly string[], { variant, seed }: ProcessJob) {
  return spawn(
    process.execPath,
    [...process.execArgv, process.argv[1] ?? "", ...words, `--only=${variant}`, `--seed=${seed}`],
    // Of a group of its own, since Ctrl-C goes to a whole group and it is this process that passes it on.
    { stdio: ["ignore", "pipe", "inherit"], detached: true },
  );
}
