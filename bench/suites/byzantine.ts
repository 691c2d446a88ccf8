import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { parse, stringify } from "yaml";
import { datasetDirectory } from "../../src/cli/learn/dataset-directory.ts";
import { decompressDataset } from "../../src/federated/data/dataset-file.ts";
import { type Figure, figure, rounded } from "../figure.ts";
import { numpyPeer } from "../support/numpy.ts";
import { root, temporaryDirectory } from "../support/processes.ts";

const execute = promisify(execFile);
/** Where everybody learns alike, and where an attack keeps models swinging. */
const CALM = { seeds: [1, 2], attacks: ["none", "Gaussian", "omniscient"] };
const SWINGING = {
  seeds: [1, 2, 3, 4, 5, 6, 7, 8],
  attacks: ["inner product", "a little is enough"],
};
const RULES = ["mean", "Krum", "Multi-Krum", "median", "trimmed mean", "geometric median"];
/** The end of a run, over which its accuracy is averaged: one moment of a model that swings says little. */
const FROM_ROUND = 300;
const ENDED_IN_TIME_MS = 7_200_000;
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;

/** Accuracies of the seeds, by `rule/attack`. */
type Table = Map<string, number[]>;

/**
 * Rules and attacks of `examples/learn/byzantine.yaml` beside the same experiment written in NumPy from the papers. Both draw their own
 * samples and first weights, so what is compared are means over seeds; what two standard errors explain is no difference.
 */
export async function* run(): AsyncGenerator<Figure> {
  using directory = temporaryDirectory();
  await command("learn", "data", "fetch", "mnist");
  for (const { seeds, attacks } of [CALM, SWINGING]) {
    const [ours, theirs] = await Promise.all([
      lab(seeds, attacks, directory.path),
      numpy(seeds, attacks, directory.path),
    ]);
    for (const attack of attacks)
      for (const rule of RULES) {
        const cell = `${rule}/${attack}`;
        yield compared(cell, ours.get(cell) ?? [], theirs.get(cell) ?? []);
      }
  }
}

/** By how much means differ beyond what chance explains. */
function compared(cell: string, ours: readonly number[], theirs: readonly number[]): Figure {
  if (ours.length < 2 || ours.length !== theirs.length)
    throw new Error(`${cell}: ${ours.length} runs of ours, ${theirs.length} of NumPy`);
  const chance = 2 * Math.hypot(standardError(ours), standardError(theirs));
  const difference = Math.abs(mean(ours) - mean(theirs));
  const told = (values: readonly number[]): string =>
    `${rounded(mean(values))} (${rounded(Math.min(...values))} to ${rounded(Math.max(...values))})`;
  return {
    ...figure({
      suite: "byzantine",
      metric: `${cell}: accuracy that ${rounded(chance)} of chance does not explain`,
      unit: "of 1",
      value: Math.max(0, difference - chance),
      bar: { floor: 0.02, goal: 0.01, better: "lower" },
    }),
    peer: `NumPy ${told(theirs)}, ours ${told(ours)}, ${ours.length} seeds`,
  };
}

/** As its user runs it, with other seeds than the file has. */
async function lab(
  seeds: readonly number[],
  attacks: readonly string[],
  directory: string,
): Promise<Table> {
  const example = readFileSync(join(root, "examples/learn/byzantine.yaml"), "utf8");
  const experiment = parse(example) as {
    vary: [
      { name: string; values: Record<string, object> },
      { name: string; values: Record<string, object> },
    ];
    seeds: readonly number[];
  };
  experiment.seeds = seeds;
  for (const [at, wanted] of [RULES, attacks].entries()) {
    const axis = experiment.vary[at];
    if (axis === undefined) throw new Error("byzantine.yaml varies rules and attacks");
    axis.values = Object.fromEntries(wanted.map((name) => [name, axis.values[name] ?? {}]));
  }
  const out = join(directory, `lab-${seeds.length}`);
  mkdirSync(out);
  const file = join(out, "byzantine.yaml");
  writeFileSync(file, stringify(experiment));
  await command("learn", "lab", file, "--out", out, "--json");
  return fromRounds(
    readFileSync(join(out, "rounds.csv"), "utf8"),
    JSON.parse(readFileSync(join(out, "runs.json"), "utf8")) as readonly EndedRun[],
  );
}

/** A run as `runs.json` has it. */
interface EndedRun {
  readonly labels: { readonly rule: string; readonly attack: string };
  readonly seed: number;
  readonly accuracy: number;
}

async function command(...words: readonly string[]): Promise<void> {
  await execute(process.execPath, [join(root, "src/main.ts"), ...words], {
    timeout: ENDED_IN_TIME_MS,
    maxBuffer: OUTPUT_BYTES_MAX,
  });
}

/** Reads `rounds.csv` of the lab, a line for each round of each run; of a run that diverged sooner its accuracy in the end. */
function fromRounds(text: string, ended: readonly EndedRun[]): Table {
  const [head = "", ...lines] = text.trim().split("\n");
  const columns = head.split(",");
  const runs = new Map<string, { accuracies: number[] }>();
  for (const line of lines) {
    const fields = line.split(",");
    const of = (name: string): string => fields[columns.indexOf(name)] ?? "";
    if (of("accuracy") === "" || Number(of("round")) < FROM_ROUND) continue;
    const key = `${of("rule")}/${of("attack")}/${of("seed")}`;
    const run = runs.get(key) ?? { accuracies: [] };
    runs.set(key, run);
    run.accuracies.push(Number(of("accuracy")));
  }
  const table: Table = new Map();
  for (const { labels, seed, accuracy } of ended) {
    const cell = `${labels.rule}/${labels.attack}`;
    const run = runs.get(`${cell}/${seed}`);
    add(table, cell, run === undefined ? accuracy : mean(run.accuracies));
  }
  return table;
}

async function numpy(
  seeds: readonly number[],
  attacks: readonly string[],
  directory: string,
): Promise<Table> {
  const kept = join(datasetDirectory(), "mnist.dataset");
  const plain = join(directory, "mnist");
  writeFileSync(plain, decompressDataset(readFileSync(kept)));
  const peer = numpyPeer("numpy_byzantine.py", [plain]);
  const table: Table = new Map();
  try {
    for (const attack of attacks)
      for (const rule of RULES)
        for (const seed of seeds) {
          const accuracies = JSON.parse(await peer.ask(`${rule}/${attack}/${seed}`)) as number[];
          add(table, `${rule}/${attack}`, mean(accuracies));
        }
  } finally {
    await peer.stop();
  }
  return table;
}

function add(table: Table, cell: string, accuracy: number): void {
  const known = table.get(cell);
  if (known === undefined) table.set(cell, [accuracy]);
  else known.push(accuracy);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function standardError(values: readonly number[]): number {
  const centre = mean(values);
  const squares = values.reduce((sum, value) => sum + (value - centre) ** 2, 0);
  return Math.sqrt(squares / (values.length - 1) / values.length);
}
