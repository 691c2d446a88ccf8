import { type Command, InvalidArgumentError } from "commander";
import type { Body } from "../../api/schemas/common.ts";
import type {
  learningAlerts,
  learningLabel,
  learningLabels,
  learningServing,
  learningVersions,
} from "../../api/schemas/learning-serving.ts";
import { print, printJson } from "../output.ts";
import { RestClient, type RestOptions, withRestOptions } from "../rest-client.ts";
import { findTask, pathOf } from "./find-task.ts";
import { printAlerts, printLabels, printServing, printVersions } from "./serving-text.ts";

const TASK_WORDS = "id of the task, the beginning of it, or its name";
const ROUND_WORDS = "round that the model came of; `learn versions` lists them";
const EXIT_CODES = `
Exit codes: 0 it was done, 1 it was not, 2 bad usage.`;

type Versions = Body<typeof learningVersions>;

/** Adds `agent-mesh learn serving|alerts|versions|promote|rollback|pin|unpin|labels|label|unlabel`. */
export function registerServing(learn: Command): void {
  addLooks(learn);
  addRoundCommand(learn, "promote", "have a round's model judge this agent's streams from now on");
  addRoundCommand(learn, "pin", "have a round's model judge until it is unpinned");
  addCommand(learn, "rollback", "have the model judge that did before");
  addCommand(learn, "unpin", "let later models take over again");
  addLabels(learn);
}

function addLooks(learn: Command): void {
  withRestOptions(
    learn
      .command("serving")
      .description("how an agent judges its own streams: model, threshold, newest score, alert")
      .argument("<task>", TASK_WORDS),
  ).action(async (words: string, options: RestOptions) => {
    const client = await RestClient.open(options);
    const path = `${pathOf(await findTask(client, words))}/serving`;
    const serving = await client.get<Body<typeof learningServing>>(path);
    if (options.json === true) printJson(serving);
    else printServing(serving);
  });
  withRestOptions(
    learn
      .command("alerts")
      .description("anomalies in an agent's streams since its start, newest first"),
  ).action(async (options: RestOptions) => {
    const client = await RestClient.open(options);
    const alerts = await client.get<Body<typeof learningAlerts>>("/v1/learning/alerts?limit=500");
    if (options.json === true) printJson(alerts);
    else printAlerts(alerts.items);
  });
  withRestOptions(
    learn
      .command("versions")
      .description("models of a task on an agent: which serves, which is on trial")
      .argument("<task>", TASK_WORDS),
  ).action(async (words: string, options: RestOptions) => {
    const client = await RestClient.open(options);
    const path = `${pathOf(await findTask(client, words))}/versions`;
    show(await client.get<Versions>(path), options);
  });
}

function addRoundCommand(learn: Command, verb: string, description: string): void {
  withRestOptions(
    learn
      .command(verb)
      .description(description)
      .argument("<task>", TASK_WORDS)
      .argument("<round>", ROUND_WORDS, wholeNumber),
  )
    .addHelpText("after", EXIT_CODES)
    .action(async (words: string, round: number, options: RestOptions) => {
      const client = await RestClient.open(options);
      const path = `${pathOf(await findTask(client, words))}/versions/${round}/${verb}`;
      show(await client.post<Versions>(path), options);
    });
}

function addCommand(learn: Command, verb: string, description: string): void {
  withRestOptions(learn.command(verb).description(description).argument("<task>", TASK_WORDS))
    .addHelpText("after", EXIT_CODES)
    .action(async (words: string, options: RestOptions) => {
      const client = await RestClient.open(options);
      const path = `${pathOf(await findTask(client, words))}/versions/${verb}`;
      show(await client.post<Versions>(path), options);
    });
}

function addLabels(learn: Command): void {
  withRestOptions(
    learn
      .command("labels")
      .description("what people said of an agent's streams")
      .argument("<task>", TASK_WORDS),
  ).action(async (words: string, options: RestOptions) => {
    const client = await RestClient.open(options);
    const path = `${pathOf(await findTask(client, words))}/labels?limit=500`;
    const items: Body<typeof learningLabel>[] = [];
    let page = await client.get<Body<typeof learningLabels>>(path);
    items.push(...page.items);
    while (page.nextCursor !== undefined) {
      page = await client.get(`${path}&cursor=${encodeURIComponent(page.nextCursor)}`);
      items.push(...page.items);
    }
    if (options.json === true) printJson({ items });
    else printLabels(items);
  });
  withRestOptions(
    learn
      .command("label")
      .description("say what a time was: a failure, or a class")
      .argument("<task>", TASK_WORDS)
      .requiredOption(
        "--from <time>",
        "its first moment: 2026-03-01T08:00:00Z, or ms since 1970",
        moment,
      )
      .requiredOption("--to <time>", "its last moment", moment)
      .option(
        "--class <n>",
        "the class; with a detector 0 is well, above 0 is a failure",
        wholeNumber,
        1,
      )
      .option("--note <text>", "in words"),
  )
    .addHelpText(
      "after",
      `
Only on the agent that is asked. What is said later counts. A detector does not learn from a time of a class above 0.
${EXIT_CODES}

Examples:
  agent-mesh learn label press --from 2026-03-01T08:00:00Z --to 2026-03-01T09:30:00Z --note "bearing worn"`,
    )
    .action(async (words: string, said: RestOptions & LabelOptions) => {
      const { from, to, class: what, note, ...options } = said;
      const client = await RestClient.open(options);
      const body = { fromMs: from, toMs: to, class: what, ...(note !== undefined && { note }) };
      const path = `${pathOf(await findTask(client, words))}/labels`;
      const label = await client.post<Body<typeof learningLabel>>(path, body);
      if (options.json === true) printJson(label);
      else print(`label ${label.id}`);
    });
  withRestOptions(
    learn
      .command("unlabel")
      .description("take a label back")
      .argument("<task>", TASK_WORDS)
      .argument("<id>", "of the label; `learn labels` lists them", wholeNumber),
  )
    .addHelpText("after", EXIT_CODES)
    .action(async (words: string, id: number, options: RestOptions) => {
      const client = await RestClient.open(options);
      await client.delete(`${pathOf(await findTask(client, words))}/labels/${id}`);
      if (options.json !== true) print(`label ${id} counts no more`);
    });
}

interface LabelOptions {
  readonly from: number;
  readonly to: number;
  readonly class: number;
  readonly note?: string;
}

function show(versions: Versions, { json }: RestOptions): void {
  if (json === true) printJson(versions);
  else printVersions(versions);
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isSafeInteger(value) || value < 0)
    throw new InvalidArgumentError("Give a whole number from 0.");
  return value;
}

function moment(text: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : Date.parse(text);
  if (!Number.isSafeInteger(value) || value < 0)
    throw new InvalidArgumentError(
      "Give a time such as 2026-03-01T08:00:00Z, or milliseconds since 1970.",
    );
  return value;
}
