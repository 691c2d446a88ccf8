import { type Command, InvalidArgumentError } from "commander";
import type { Body } from "../api/schemas/common.ts";
import type { trail, trailChoice, trails } from "../api/schemas/trails.ts";
import { print, printJson, printTable } from "./output.ts";
import { RestClient, type RestOptions, withRestOptions } from "./rest-client.ts";

/** Adds `agent-mesh trail list|deposit|choose`. */
export function registerTrail(program: Command): void {
  const group = program
    .command("trail")
    .description("what agents tell each other by deposits that evaporate")
    .exitOverride();
  withRestOptions(group.command("list").description("trails, the strongest first"))
    .option("--limit <n>", "at most this many, up to 500", "50")
    .option("--prefix <prefix>", "only trails that begin so", "")
    .action(
      async ({ limit, prefix, ...options }: RestOptions & { limit: string; prefix: string }) => {
        const client = await RestClient.open(options);
        const query = new URLSearchParams({ limit, prefix });
        const page = await client.get<Body<typeof trails>>(`/v1/trails?${query.toString()}`);
        if (options.json === true) return printJson(page);
        const rows = page.items.map(({ trail, level }) => [trail, level.toPrecision(4)]);
        printTable(["TRAIL", "LEVEL"], rows, "no trails");
      },
    );
  withRestOptions(
    group
      .command("deposit")
      .argument("<trail>")
      .argument("[amount]", "how good it was, up to 100", positive, 1)
      .description("strengthen a trail for the whole fleet"),
  ).action(async (name: string, amount: number, options: RestOptions) => {
    const client = await RestClient.open(options);
    const path = `/v1/trails/${encodeURIComponent(name)}/deposits`;
    const after = await client.post<Body<typeof trail>>(path, { amount });
    if (options.json === true) printJson(after);
    else print(`${after.trail} is at ${after.level.toPrecision(4)}`);
  });
  withRestOptions(
    group
      .command("choose")
      .argument("<trails...>")
      .description("choose one of several trails, the stronger the likelier"),
  ).action(async (names: readonly string[], options: RestOptions) => {
    const client = await RestClient.open(options);
    const body = { options: names.map((name) => ({ trail: name })) };
    const choice = await client.post<Body<typeof trailChoice>>("/v1/trails/choose", body);
    if (options.json === true) printJson(choice);
    else print(choice.trail);
  });
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError("Write a number above 0.");
  return value;
}
