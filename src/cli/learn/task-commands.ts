import { type Command, Option } from "commander";
import type { Body } from "../../api/schemas/common.ts";
import type { learning, learningRounds } from "../../api/schemas/learning.ts";
import { print, printJson, printTable } from "../output.ts";
import { RestClient, type RestOptions, withRestOptions } from "../rest-client.ts";
import { stopSignal } from "../stop-signal.ts";
import { findTask, listTasks, pathOf, type TaskDocument } from "./find-task.ts";
import { predictRows, readRows } from "./predict-rows.ts";
import { readTaskFile } from "./task-file.ts";
import { printLearning, printTask, printTasks } from "./task-text.ts";
import { watchTask } from "./watch-task.ts";

const TASK_WORDS = "id of the task, the beginning of it, or its name";
/** Rounds that `status` shows. */
const ROUNDS_SHOWN = 10;
const EXIT_CODES = `
Exit codes: 0 it was done, 1 it was not, or the task was stopped, 2 bad usage.`;

/** Adds `agent-mesh learn start|tasks|status|watch|pause|resume|stop|predict`. */
export function registerLearningTasks(learn: Command): void {
  addStart(learn);
  addLooks(learn);
  addControl(learn, "pause", "let a task rest; only on the agent that started it");
  addControl(learn, "resume", "let a task go on; only on the agent that started it");
  addControl(learn, "stop", "end a task for good; only on the agent that started it");
  addPredict(learn);
}

function addStart(learn: Command): void {
  withRestOptions(
    learn
      .command("start")
      .description("have the fleet learn something")
      .argument("<file>", "what is to be learned, YAML or JSON; - for standard input"),
  )
    .option(
      "--set <key=value>",
      "one setting instead of the file's, such as pace.agentsMin=3; may be repeated",
      (value: string, sets: readonly string[]) => [...sets, value],
      [],
    )
    .option("--watch", "follow it until it ends")
    .addHelpText(
      "after",
      `${EXIT_CODES}

Examples:
  agent-mesh learn start task.yaml --watch
  agent-mesh learn start task.yaml --set rounds=5 --set client.learningRate=0.1`,
    )
    .action(
      async (
        file: string,
        { set, watch, ...options }: RestOptions & { set: readonly string[]; watch?: true },
      ) => {
        const client = await RestClient.open(options);
        const spec = await readTaskFile(file, set);
        const started = await client.post<TaskDocument>("/v1/learning/tasks", spec);
        if (watch === true) {
          if (options.json !== true) print(started.task);
          await watchUntilStopped(client, started.task, options);
        } else if (options.json === true) printJson(started);
        else print(started.task);
      },
    );
}

function addLooks(learn: Command): void {
  withRestOptions(
    learn.command("tasks").description("learning tasks of the fleet, newest first"),
  ).action(async (options: RestOptions) => {
    const tasks = await listTasks(await RestClient.open(options));
    if (options.json === true) printJson({ items: tasks });
    else printTasks(tasks);
  });
  withRestOptions(
    learn
      .command("status")
      .description("learning in short, or one task and its newest rounds")
      .argument("[task]", TASK_WORDS),
  ).action(async (words: string | undefined, options: RestOptions) => {
    const client = await RestClient.open(options);
    if (words === undefined) {
      const status = await client.get<Body<typeof learning>>("/v1/learning");
      if (options.json === true) printJson(status);
      else printLearning(status);
      return;
    }
    const task = await client.get<TaskDocument>(pathOf(await findTask(client, words)));
    if (options.json === true) return printJson(task);
    const after = Math.max(0, task.round - ROUNDS_SHOWN);
    const path = `${pathOf(task.task)}/rounds?after=${after}`;
    printTask(task, (await client.get<Body<typeof learningRounds>>(path)).items);
  });
  withRestOptions(
    learn
      .command("watch")
      .description("follow a task until it ends: its rounds, how good its models are")
      .argument("<task>", TASK_WORDS),
  )
    .addHelpText(
      "after",
      `
Prints the newest ten rounds, then each as it is decided; how good a model is, is by the samples of the agent that is
asked. Ctrl-C ends the watching; the task goes on. With --json each round is a line, and the task at its end.
${EXIT_CODES}

Examples:
  agent-mesh learn watch digits
  agent-mesh learn watch 5f0c --json`,
    )
    .action(async (words: string, options: RestOptions) => {
      const client = await RestClient.open(options);
      await watchUntilStopped(client, await findTask(client, words), options);
    });
}

function addControl(learn: Command, verb: string, description: string): void {
  withRestOptions(
    learn.command(verb).description(description).argument("<task>", TASK_WORDS),
  ).action(async (words: string, options: RestOptions) => {
    const client = await RestClient.open(options);
    const task = await client.post<TaskDocument>(
      `${pathOf(await findTask(client, words))}/${verb}`,
    );
    if (options.json === true) printJson(task);
    else print(`${task.spec.name} (${task.task}) is ${task.state}`);
  });
}

interface PredictOptions extends RestOptions {
  readonly input: string;
  readonly model?: "own" | "global";
}

function addPredict(learn: Command): void {
  withRestOptions(
    learn
      .command("predict")
      .description("run the newest model of a task on samples, on the agent that is asked")
      .argument("<task>", TASK_WORDS)
      .requiredOption("--input <file>", "rows of numbers, JSON or CSV; - for standard input")
      .addOption(
        new Option(
          "--model <which>",
          "with personalization: the agent's own model, or the fleet's",
        ).choices(["own", "global"]),
      ),
  )
    .addHelpText(
      "after",
      `
A row has as many numbers as the model's input. CSV may have a heading. The class of a row is the number of its largest
output, from 0.
${EXIT_CODES}

Examples:
  agent-mesh learn predict digits --input samples.csv
  echo '[[5.1, 3.5, 1.4, 0.2]]' | agent-mesh learn predict iris --input - --json`,
    )
    .action(async (words: string, { input, model, ...options }: PredictOptions) => {
      const client = await RestClient.open(options);
      const rows = await readRows(input);
      const predicted = await predictRows(client, await findTask(client, words), rows, model);
      if (options.json === true) return printJson(predicted);
      const { round, firstRound, outputs, classes } = predicted;
      const whose = predicted.model === "own" ? "the agent's own model" : "the model";
      printTable(
        ["ROW", "CLASS", "OUTPUTS"],
        outputs.map((values, at) => [
          String(at + 1),
          String(classes?.[at] ?? ""),
          values.map((value) => value.toPrecision(5)).join(" "),
        ]),
        "no rows",
      );
      print(
        firstRound === undefined
          ? `by ${whose} of round ${round}`
          : `by ${whose}s of rounds ${firstRound} to ${round}: a newer one came on the way`,
      );
    });
}

async function watchUntilStopped(client: RestClient, task: string, { json }: RestOptions) {
  const stopping = new AbortController();
  void stopSignal().then(() => stopping.abort());
  await watchTask(client, task, json === true, stopping.signal);
}
