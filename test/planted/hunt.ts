/**
 * Hunts planted bugs: plants each, and runs seeds until one fails. The last line is a summary.
 *
 *     node test/planted/hunt.ts [--seeds N] [--first S] [--json] [NAME ...]
 */
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { HUNT_OPTIONS, type PlantedBug, plantedBugs } from "./bugs.ts";
import { type ConsensusBug, consensusBugs } from "./consensus-bugs.ts";
import { huntInProtocol } from "./consensus-hunt.ts";
import { type Catch, runPlantedWith } from "./planting.ts";

const here = import.meta.dirname;
const main = resolve(here, "../../src/main.ts");

/** Options of `agent-mesh simulate` that make the world a bug is hunted in. */
export function worldOf(bug: PlantedBug): string[] {
  return [...HUNT_OPTIONS, ...(bug.options ?? [])].map((option) =>
    option.replace("SCENARIOS", resolve(here, "scenarios")),
  );
}

/**
 * Runs one seed with a bug in its world.
 * @returns how it was caught; undefined when it was not
 */
export async function runPlanted(bug: PlantedBug, seed: number): Promise<string | undefined> {
  const words = [main, "simulate", ...worldOf(bug), `--seed=${seed}`, "--fail-fast", "--json"];
  const { code, out, err } = await runPlantedWith(bug.name, words);
  if (code === 0) return undefined;
  const last = out.trim().split("\n").at(-1) ?? "";
  if (!last.startsWith("{"))
    return `the program ended with ${code}: ${err.match(/\w*Error: [^\n]*/)?.[0] ?? err.slice(0, 200)}`;
  const { first } = JSON.parse(last) as { first?: { promise: string } };
  return first?.promise;
}

async function hunt(bug: PlantedBug | ConsensusBug, first: number, seeds: number): Promise<Catch> {
  if ("protocol" in bug) return huntInProtocol(bug, first, seeds);
  for (let seed = first; seed < first + seeds; seed++) {
    const how = await runPlanted(bug, seed);
    if (how !== undefined) return { name: bug.name, seed, seeds: seed - first + 1, how };
  }
  return { name: bug.name, seeds };
}

/** Seeds of a protocol are quicker than those of a fleet. */
function seedsFor(bug: PlantedBug | ConsensusBug): number {
  return "protocol" in bug ? 150 : 20;
}

const usage = `Usage: npm run planted -- [bug…] [options]

Plants known bugs, one at a time (all of them when none is named), and looks how many seeds it takes until one fails.
Exit code 0: each was caught.

  --seeds N  at most so many for each; 20, and 150 for the protocols' own
  --first N  the first seed; 1
  --json     a JSON line for each bug
  --help     this text
`;

async function huntAll(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seeds: { type: "string" },
      first: { type: "string", default: "1" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    return;
  }
  const wanted = [...plantedBugs, ...consensusBugs].filter(
    ({ name }) => positionals.length === 0 || positionals.includes(name),
  );
  if (wanted.length === 0) throw new Error(`no planted bug is called ${positionals.join(", ")}`);
  let caught = 0;
  for (const bug of wanted) {
    const result = await hunt(bug, Number(values.first), Number(values.seeds ?? seedsFor(bug)));
    if (result.seed !== undefined) caught++;
    if (values.json) console.log(JSON.stringify(result));
    else {
      const how =
        result.seed === undefined
          ? `NOT within ${result.seeds} seeds`
          : `seed ${result.seed}, ${result.how}`;
      console.log(`${bug.name.padEnd(36)} ${how}`);
    }
  }
  console.log(`${caught} of ${wanted.length} caught`);
  process.exitCode = caught === wanted.length ? 0 : 1;
}

if (import.meta.main) await huntAll();
