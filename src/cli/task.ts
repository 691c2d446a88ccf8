import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { Body } from "../api/schemas/common.ts";
import type { task, tasks } from "../api/schemas/tasks.ts";
import { ConfigError } from "../config/resolve.ts";
import { print, printable, printJson, printPairs, printTable, time } from "./output.ts";
import { parseDuration } from "./parse-duration.ts";
import { RestClient, type RestOptions, withRestOptions } from "./rest-client.ts";

type Task = Body<typeof task>;

const WATCH_INTERVAL_MS = 250;
const ENDS: ReadonlySet<string> = new Set(["done", "failed", "cancelled"]);

interface SubmitOptions extends RestOptions {
  readonly input?: string;
  readonly inputFile?: string;
  readonly need: readonly string[];
  readonly after: readonly string[];
  readonly memory?: number;
  readonly minAgents?: number;
  readonly maxAgents?: number;
  readonly deadline?: number;
  readonly timeout?: number;
  readonly priority?: number;
  readonly retries?: number;
  readonly method: string;
  readonly watch?: true;
}

/** Adds `agent-mesh task submit|list|show|cancel|watch`. */
export function registerTask(program: Command): void {
  const group = program
    .command("task")
    .description("have agents of the fleet do something")
    .exitOverride();
  addSubmit(group);
  withRestOptions(group.command("list").description("tasks that this agent took, newest first"))
    .option("--limit <n>", "at most this many, up to 500", "50")
    .option("--cursor <cursor>", "where the previous page ended")
    .option("--state <state>", "only tasks in this state")
    .option("--kind <kind>", "only tasks of this kind")
    .action(
      async ({
        limit,
        cursor,
        state,
        kind,
        ...options
      }: RestOptions & { limit: string; cursor?: string; state?: string; kind?: string }) => {
        const client = await RestClient.open(options);
        const query = new URLSearchParams({
          limit,
          ...(cursor !== undefined && { cursor }),
          ...(state !== undefined && { state }),
          ...(kind !== undefined && { kind }),
        });
        const page = await client.get<Body<typeof tasks>>(`/v1/tasks?${query.toString()}`);
        if (options.json === true) return printJson(page);
        const rows = page.items.map((one) => [
          one.id,
          one.kind,
          one.state,
          time(one.orderedAtMs),
          one.agents.join(" "),
          [one.fault, one.detail].filter((word) => word !== undefined).join(": "),
        ]);
        printTable(["ID", "KIND", "STATE", "ORDERED", "AGENTS", "WHY"], rows, "no tasks");
        if (page.nextCursor !== undefined) print(`more: --cursor ${page.nextCursor}`);
      },
    );
  addOne(group, "show", "one task: who bid, who was awarded it, what came of it", async (task) =>
    printTask(task),
  );
  withRestOptions(
    group.command("cancel").argument("<id>").description("cancel a task; work on it stops"),
  ).action(async (id: string, options: RestOptions) => {
    const client = await RestClient.open(options);
    const cancelled = await client.post<Task>(`${pathOf(id)}/cancel`);
    if (options.json === true) printJson(cancelled);
    else print(`${cancelled.id} is ${cancelled.state}`);
  });
  addOne(
    group,
    "watch",
    "follow a task until it ends; fails when the task does",
    async (_, id, client, options) => watch(client, id, options),
  );
}

function addSubmit(group: Command): void {
  withRestOptions(
    group
      .command("submit")
      .argument("<kind>", "what sort of work it is, for example describe")
      .description("have a task done; a task that nobody can do is refused"),
  )
    .option("--input <json>", "what there is to work on")
    .option("--input-file <file>", "the same, from a file; - for standard input")
    .option("--need <skill>", "skill that an agent has to have, or mains; repeatable", collect, [])
    .option("--memory <bytes>", "free memory that an agent has to have", whole)
    .option("--min-agents <n>", "so many agents have to do it", whole)
    .option("--max-agents <n>", "so many agents may do it", whole)
    .option("--deadline <duration>", "then it has failed: 90s, 30m, 12h", parseDuration)
    .option("--timeout <duration>", "for one attempt", parseDuration)
    .option("--priority <n>", "0 to 9", whole)
    .option("--after <id>", "task that has to be done first; repeatable", collect, [])
    .option("--retries <n>", "attempts that may follow one that failed", whole)
    .addOption(
      new Option("--method <method>", "how agents are found")
        .choices(["contract-net", "distribution"])
        .default("contract-net"),
    )
    .option("--watch", "follow it until it ends")
    .action(async (kind: string, options: SubmitOptions) => {
      const client = await RestClient.open(options);
      const taken = await client.post<Task>("/v1/tasks", await requestOf(kind, options));
      if (options.watch === true) await watch(client, taken.id, options);
      else if (options.json === true) printJson(taken);
      else print(taken.id);
    });
}

function collect(value: string, all: readonly string[]): readonly string[] {
  return [...all, value];
}

async function requestOf(kind: string, options: SubmitOptions) {
  const { need, after, memory, minAgents, maxAgents, deadline, timeout, priority } = options;
  const { retries, method } = options;
  const input = await inputOf(options);
  return {
    kind,
    method,
    needs: need,
    after,
    ...(input !== undefined && { input }),
    ...(memory !== undefined && { memoryBytes: memory }),
    ...(minAgents !== undefined && { minAgents }),
    ...(maxAgents !== undefined && { maxAgents }),
    ...(deadline !== undefined && { deadlineMs: deadline }),
    ...(timeout !== undefined && { timeoutMs: timeout }),
    ...(priority !== undefined && { priority }),
    ...(retries !== undefined && { retriesMax: retries }),
  };
}

/** @throws InvalidArgumentError for what is no JSON */
async function inputOf({ input, inputFile }: SubmitOptions): Promise<unknown> {
  const text =
    inputFile === undefined
      ? input
      : await readFile(inputFile === "-" ? "/dev/stdin" : inputFile, "utf8");
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    throw new ConfigError("--input", [
      "it is no JSON; write text as --input '\"text\"', with its quotes",
    ]);
  }
}

function addOne(
  group: Command,
  verb: string,
  description: string,
  act: (task: Task, id: string, client: RestClient, options: RestOptions) => Promise<void>,
): void {
  withRestOptions(group.command(verb).argument("<id>").description(description)).action(
    async (id: string, options: RestOptions) => {
      const client = await RestClient.open(options);
      const task = await client.get<Task>(pathOf(id));
      if (options.json === true && verb === "show") printJson(task);
      else await act(task, id, client, options);
    },
  );
}

/** Prints what happens as it does; the whole task at its end. Sets the exit code where it was not done. */
async function watch(client: RestClient, id: string, { json }: RestOptions): Promise<void> {
  const told = new Set<string>();
  const tell = (line: string): void => {
    if (line === "" || told.has(line)) return;
    told.add(line);
    print(printable(line));
  };
  for (;;) {
    const task = await client.get<Task>(pathOf(id));
    if (json !== true) {
      for (const moment of task.history) tell(lineOf(moment));
      for (const { agentId, peerId, state, percent } of task.contractors)
        if (state === "working" && percent > 0)
          tell(`${agentId ?? peerId} is at ${Math.round(percent)} %`);
    }
    if (ENDS.has(task.state)) {
      if (json === true) printJson(task);
      else printResults(task);
      if (task.state !== "done") process.exitCode = 1;
      return;
    }
    await delay(WATCH_INTERVAL_MS);
  }
}

function lineOf({ atMs, what, agentId, peerId, reason }: Task["history"][number]): string {
  const who = agentId ?? peerId;
  const why = reason === undefined ? "" : `(${reason})`;
  return [time(atMs), what, who ?? "", why].filter((word) => word !== "").join(" ");
}

function printTask(task: Task): void {
  printPairs([
    ["task", `${task.id}, ${task.kind}`],
    ["state", [task.state, task.fault, task.detail].filter(Boolean).join(": ")],
    ["method", `${task.method}, ${task.minAgents} to ${task.maxAgents} agents`],
    ["needs", task.needs.join(" ") || "nothing special"],
    ["attempts", `${task.attempts}, of which ${task.failures} failed`],
  ]);
  print("");
  printTable(
    ["AGENT", "COST", "ENDS IN", "AWARDED"],
    task.bids.map((bid) => [
      bid.agentId ?? bid.peerId,
      bid.cost.toFixed(2),
      `${Math.round(bid.endsInMs)} ms`,
      task.contractors.find(({ peerId }) => peerId === bid.peerId)?.state ?? "",
    ]),
    "no bids",
  );
  print("");
  for (const moment of task.history) print(printable(lineOf(moment)));
  printResults(task);
}

function printResults({ results }: Task): void {
  for (const { agentId, peerId, output } of results)
    print(printable(`${agentId ?? peerId}: ${JSON.stringify(output) ?? "not kept"}`));
}

function pathOf(id: string): string {
  return `/v1/tasks/${encodeURIComponent(id)}`;
}

function whole(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError("Write a whole number.");
  return Number(text);
}
