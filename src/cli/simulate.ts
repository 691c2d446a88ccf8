import { type Command, InvalidArgumentError } from "commander";
import type { SimulateOptions } from "./simulate/options.ts";

/** Adds `agent-mesh simulate`: a fleet of agents in a world of which everything follows from a seed. */
export function registerSimulate(program: Command): void {
  program
    .command("simulate")
    .description(
      "run a fleet of agents, with their production code, in a simulated world: virtual time, network, disks and batteries, and everything that goes wrong with them",
    )
    .option(
      "--scenario <name|file>",
      "calm, scale, everything, committee, learning, learning-thousand, learning-ten-thousand, or a YAML file",
      "everything",
    )
    .option("--agents <n>", "agents at the beginning", count)
    .option("--hours <h>", "virtual hours of faults, before the healing", amount)
    .option("--intensity <x>", "faults come about x times as often", amount)
    .option("--seed <s>", "what everything follows from (default: a new one, which is told)")
    .option("--seeds <n>", "run n seeds, from --seed on, which has to be a whole number", count)
    .option("--jobs <n>", "seeds that run side by side, with --seeds", count, 1)
    .option("--faults <list>", "of the seed's faults only these, such as 3,17", list)
    .option("--fail-fast", "end a seed at its first broken promise, with nothing healed")
    .option("--no-shrink", "do not look for the least that still fails")
    .option("--verify", "run it twice and name the first event that differs, if any")
    .option("--report <file>", "write a report with plots, one HTML file")
    .option("--json", "print JSON alone, one line for each seed")
    .addHelpText(
      "after",
      `
Exit codes: 0 every promise was kept, 1 one was not, 2 bad usage. The last line is JSON, with the trace's hash.

Examples:
  agent-mesh simulate --agents 20 --hours 0.5 --seed 7
  agent-mesh simulate --scenario scale --agents 10000 --hours 0.1 --seed 1 --report scale.html
  agent-mesh simulate --seeds 1000 --seed 1 --jobs 2 --hours 0.1 --intensity 10 --fail-fast`,
    )
    .action(async (options: SimulateOptions, command: Command) => {
      const { scenarioOf } = await import("./simulate/scenario-source.ts");
      const scenario = await scenarioOf(options);
      if (options.seeds === undefined) {
        const { simulateOne } = await import("./simulate/one-seed.ts");
        process.exitCode = await simulateOne(scenario, options);
        return;
      }
      const first = Number(options.seed ?? "1");
      if (!Number.isSafeInteger(first) || first < 0)
        command.error("error: with --seeds, --seed has to be a whole number");
      const { simulateMany } = await import("./simulate/many-seeds.ts");
      process.exitCode = await simulateMany(scenario, options, { first, count: options.seeds });
    });
}

function count(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new InvalidArgumentError("Give a whole number above 0.");
  return value;
}

function amount(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError("Give a number above 0.");
  return value;
}

function list(text: string): number[] {
  const values = text === "" ? [] : text.split(",").map(Number);
  if (values.some((value) => !Number.isSafeInteger(value) || value < 0))
    throw new InvalidArgumentError("Give whole numbers with commas between them.");
  return values;
}
