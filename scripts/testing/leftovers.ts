import { readdir, readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";

/** A process that outlived what started it. */
export interface Leftover {
  readonly pid: number;
  readonly command: string;
}

/** Every process that tests start inherits this variable, and that is how they are found again. */
export const runMarker = "AGENT_MESH_TEST_RUN";

async function marked(marker: string, value: string): Promise<Leftover[]> {
  const wanted = `${marker}=${value}`;
  const found: Leftover[] = [];
  for (const name of await readdir("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    try {
      const environment = await readFile(`/proc/${name}/environ`, "latin1");
      if (!environment.split("\0").includes(wanted)) continue;
      const command = (await readFile(`/proc/${name}/cmdline`, "latin1")).replaceAll("\0", " ");
      found.push({ pid, command: command.trim() });
    } catch {
      // It ended while we looked, or belongs to somebody else.
    }
  }
  return found;
}

/**
 * Processes of this run that are still there after `graceMs`; they are ended.
 * @param value the run's value of `marker`.
 */
export async function endLeftovers(
  value: string,
  graceMs: number,
  marker = runMarker,
): Promise<Leftover[]> {
  const deadlineMs = performance.now() + graceMs;
  let left = await marked(marker, value);
  while (left.length > 0 && performance.now() < deadlineMs) {
    await delay(100);
    left = await marked(marker, value);
  }
  for (const { pid } of left) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It ended by itself.
    }
  }
  return left;
}
