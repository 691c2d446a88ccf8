import type { Command } from "commander";
import type { Body } from "../api/schemas/common.ts";
import type { deadLetters, queue, queueControl, queueMessages } from "../api/schemas/queue.ts";
import { bytes, plural, print, printJson, printPairs, printTable, time } from "./output.ts";
import { RestClient, type RestOptions, withRestOptions } from "./rest-client.ts";

interface PageOptions extends RestOptions {
  readonly limit: string;
  readonly cursor?: string;
}

/** Adds `agent-mesh queue status|list|flush|pause|resume|dead-letters`. */
export function registerQueue(program: Command): void {
  const group = program
    .command("queue")
    .description("look at and steer what waits to leave")
    .exitOverride();
  withRestOptions(group.command("status").description("the queue in numbers")).action(
    async (options: RestOptions) => {
      const client = await RestClient.open(options);
      const status = await client.get<Body<typeof queue>>("/v1/queue");
      if (options.json === true) printJson(status);
      else printQueue(status);
    },
  );
  withPage(withRestOptions(group.command("list").description("updates in delivery order")))
    .option("--stream <name>", "only updates of this stream")
    .action(async (options: PageOptions & { stream?: string }) => {
      const client = await RestClient.open(options);
      const filter = options.stream === undefined ? {} : { stream: options.stream };
      const path = `/v1/queue/messages?${pageQuery(options, filter)}`;
      const page = await client.get<Body<typeof queueMessages>>(path);
      if (options.json === true) return printJson(page);
      const rows = page.items.map((update) => [
        update.id,
        String(update.priority),
        time(update.observedAtMs),
        preview(update.payload),
      ]);
      printTable(["ID", "PRIORITY", "OBSERVED", "PAYLOAD"], rows, "nothing waits");
      printNext(page.nextCursor);
    });
  addControls(group);
  addDeadLetters(group);
}

function addControls(group: Command): void {
  const controls = {
    flush: { description: "send what waits now", done: "sending" },
    pause: { description: "let nothing leave until resumed", done: "paused" },
    resume: { description: "let updates leave again", done: "resumed" },
  };
  for (const [verb, { description, done }] of Object.entries(controls)) {
    withRestOptions(group.command(verb).description(description)).action(
      async (options: RestOptions) => {
        const client = await RestClient.open(options);
        const state = await client.post<Body<typeof queueControl>>(`/v1/queue/${verb}`);
        if (options.json === true) return printJson(state);
        const still = state.paused && verb === "flush" ? "; the queue is paused" : "";
        print(`${done}; ${plural(state.updates, "update")} waiting${still}`);
      },
    );
  }
}

function addDeadLetters(group: Command): void {
  const letters = group
    .command("dead-letters")
    .description("look at and settle what cannot be delivered");
  withPage(withRestOptions(letters.command("list").description("dead letters with reason"))).action(
    async (options: PageOptions) => {
      const client = await RestClient.open(options);
      const page = await client.get<Body<typeof deadLetters>>(
        `/v1/queue/dead-letters?${pageQuery(options)}`,
      );
      if (options.json === true) return printJson(page);
      const rows = page.items.map((letter) => [
        letter.id,
        time(letter.deadAtMs),
        letter.topic,
        letter.code,
        letter.reason,
      ]);
      printTable(["ID", "SINCE", "TOPIC", "CODE", "REASON"], rows, "no dead letters");
      printNext(page.nextCursor);
    },
  );
  withRestOptions(
    letters
      .command("requeue")
      .argument("<id>")
      .description("put a dead letter back at the end of the queue"),
  ).action(async (id: string, options: RestOptions) => {
    const client = await RestClient.open(options);
    await client.post(`/v1/queue/dead-letters/${encodeURIComponent(id)}/requeue`);
    if (options.json === true) printJson({ id, requeued: true });
    else print(`${id} is in the queue again`);
  });
  withRestOptions(
    letters.command("delete").argument("<id>").description("delete a dead letter for good"),
  ).action(async (id: string, options: RestOptions) => {
    const client = await RestClient.open(options);
    await client.delete(`/v1/queue/dead-letters/${encodeURIComponent(id)}`);
    if (options.json === true) printJson({ id, deleted: true });
    else print(`${id} is deleted`);
  });
}

function withPage(command: Command): Command {
  return command
    .option("--limit <n>", "at most this many, up to 500", "50")
    .option("--cursor <cursor>", "where the previous page ended");
}

function pageQuery(
  { limit, cursor }: PageOptions,
  filter: Readonly<Record<string, string>> = {},
): string {
  return new URLSearchParams({
    limit,
    ...(cursor === undefined ? {} : { cursor }),
    ...filter,
  }).toString();
}

function printNext(cursor: string | undefined): void {
  if (cursor !== undefined) print(`more: --cursor ${cursor}`);
}

function preview(payload: { encoding: string; data: string; bytes: number }): string {
  if (payload.encoding !== "utf-8") return `${payload.bytes} bytes`;
  return payload.data.length > 60 ? `${payload.data.slice(0, 59)}…` : payload.data;
}

function printQueue(status: Body<typeof queue>): void {
  printPairs([
    ["waiting", `${plural(status.updates, "update")} in ${plural(status.streams, "stream")}`],
    ["size", `${bytes(status.bytes)} of ${bytes(status.bytesMax)}, then ${status.evict}`],
    ["paused", status.paused ? "yes" : "no"],
    ...(status.oldestObservedAtMs === undefined
      ? []
      : [["oldest", time(status.oldestObservedAtMs)] as const]),
    ...status.updatesByPriority
      .filter(({ updates }) => updates > 0)
      .map(({ priority, updates }) => [`priority ${priority}`, plural(updates, "update")] as const),
    ["delivered", plural(status.acknowledged, "update")],
    ["shed", plural(status.shed, "update")],
    ["expired", plural(status.expired, "update")],
    ...(status.lost > 0 ? [["lost", plural(status.lost, "update")] as const] : []),
    [
      "written",
      `${bytes(status.written.deviceBytes ?? status.written.bytes)} to flash in ${plural(status.written.syncs, "sync")}`,
    ],
    ...(status.written.bytesPerDayMax === 0
      ? []
      : [
          [
            "flash budget",
            `${Math.round(status.written.budgetUsed * 100)} % of ${bytes(status.written.bytesPerDayMax)} a day`,
          ] as const,
        ]),
    ["dead letters", `${status.deadLetters}, ${bytes(status.deadLetterBytes)}`],
    ...(status.storeFault === undefined ? [] : [["store fault", status.storeFault] as const]),
  ]);
}
