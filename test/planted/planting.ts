import { spawn } from "node:child_process";
import { resolve } from "node:path";

/** What a hunt came to. */
export interface Catch {
  readonly name: string;
  /** The first seed that failed; absent when none did. */
  readonly seed?: number;
  /** Seeds that were run. */
  readonly seeds: number;
  /** The promise that was broken, or how the program ended. */
  readonly how?: string;
}

/** How a program ended that was run with a planted bug, or without one. */
export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/**
 * Runs a program of ours to its end.
 * @param bug name of the one to plant; undefined for none @throws Error when its source was never loaded
 */
export async function runPlantedWith(
  bug: string | undefined,
  words: readonly string[],
): Promise<Ended> {
  const planting = bug === undefined ? [] : ["--import", resolve(import.meta.dirname, "plant.ts")];
  const child = spawn(process.execPath, [...planting, ...words], {
    env: { ...process.env, ...(bug !== undefined && { PLANTED_BUG: bug }) },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let out = "";
  let err = "";
  child.stdout.on("data", (data: Buffer) => {
    out += data.toString();
  });
  child.stderr.on("data", (data: Buffer) => {
    err += data.toString();
  });
  const code = await new Promise<number | null>((done) => {
    child.on("close", done);
  });
  if (bug !== undefined && !err.includes(`planted ${bug}`))
    throw new Error(`${bug} was not planted: ${err}`);
  return { code, out, err };
}
