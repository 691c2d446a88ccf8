/**
 * Hunts planted bugs: plants each, and runs seeds until one fails. The last line is a summary.
 *
 *     node test/planted/hunt.ts [--seeds N] [--first S] [--json] [NAME ...]
 */
import { spawn } from "node:child_process";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { HUNT_OPTIONS, type PlantedBug, plantedBugs } from "./bugs.ts";

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

const here = import.meta.dirname;
const main = resolve(here, "../../src/main.ts");

/**
 * Runs one seed in the world of a bug.
 * @param planted false: without the bug itself
 * @returns how it was caught; undefined when it was not
 */
export async function runPlanted(
  bug: PlantedBug,
  seed: number,
  planted = true,
): Promise<string | undefined> {
  const options = [...HUNT_OPTIONS, ...(bug.options ?? [])].map((option) =>
    option.replace("SCENARIOS", resolve(here, "scenarios")),
  );
  const planting = planted ? ["--import", resolve(here, "plant.ts")] : [];
  const child = spawn(
    process.execPath,
    [...planting, main, "simulate", ...options, `--seed=${seed}`, "--no-shrink", "--json"],
    {
      env: { ...process.env, ...(planted && { PLANTED_BUG: bug.name }) },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
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
  if (planted && !err.includes(`planted ${bug.name}`))
    throw new Error(`${bug.name} was not planted: ${err}`);
  if (code === 0) return undefined;
  const last = out.trim().split("\n").at(-1) ?? "";
  if (!last.startsWith("{"))
    return `the program ended with ${code}: ${err.match(/\w*Error: [^\n]*/)?.[0] ?? err.slice(0, 200)}`;
  const { first } = JSON.parse(last) as { first?: { promise: string } };
  return first?.promise;
}

async function hunt(bug: PlantedBug, first: number, seeds: number): Promise<Catch> {
  for (let seed = first; seed < first + seeds; seed++) {
    const how = await runPlanted(bug, seed);
    if (how !== undefined) return { name: bug.name, seed, seeds: seed - first + 1, how };
  }
  return { name: bug.name, seeds };
}

async function huntAll(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seeds: { type: "string", default: "20" },
      first: { type: "string", default: "1" },
      json: { type: "boolean", default: false },
    },
  });
  const wanted = plantedBugs.filter(
    ({ name }) => positionals.length === 0 || positionals.includes(name),
  );
  if (wanted.length === 0) throw new Error(`no planted bug is called ${positionals.join(", ")}`);
  let caught = 0;
  for (const bug of wanted) {
    const result = await hunt(bug, Number(values.first), Number(values.seeds));
    if (result.seed !== undefined) caught++;
    if (values.json) console.log(JSON.stringify(result));
    else {
      const how =
        result.seed === undefined
          ? `NOT within ${result.seeds} seeds`
          : `seed ${result.seed}, ${result.how}`;
      console.log(`${bug.name.padEnd(30)} ${how}`);
    }
  }
  console.log(`${caught} of ${wanted.length} caught`);
  process.exitCode = caught === wanted.length ? 0 : 1;
}

if (import.meta.main) await huntAll();
