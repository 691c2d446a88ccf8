import { type Command, Option } from "commander";
import type { Body } from "../api/schemas/common.ts";
import type { tokenCreated, tokens } from "../api/schemas/tokens.ts";
import { print, printJson, printTable, time } from "./output.ts";
import { parseDuration } from "./parse-duration.ts";
import { RestClient, type RestOptions, withRestOptions } from "./rest-client.ts";

/** Adds `agent-mesh token create|list|revoke`. */
export function registerToken(program: Command): void {
  const group = program
    .command("token")
    .description("create, list and revoke access tokens")
    .exitOverride();
  withRestOptions(
    group
      .command("create")
      .description("create a token; its secret is printed once and never kept")
      .requiredOption("--name <name>", "who or what will use it")
      .addOption(
        new Option("--scope <scope>", "what it may do")
          .choices(["viewer", "operator", "admin"])
          .default("viewer"),
      )
      .option("--expires <time>", "ends after this long, for example 12h or 30d", parseDuration),
  ).action(async (options: RestOptions & { name: string; scope: string; expires?: number }) => {
    const client = await RestClient.open(options);
    const { name, scope, expires } = options;
    const created = await client.post<Body<typeof tokenCreated>>("/v1/tokens", {
      name,
      scope,
      ...(expires === undefined ? {} : { expiresInMs: expires }),
    });
    if (options.json === true) printJson(created);
    else print(created.token);
  });
  withRestOptions(group.command("list").description("the tokens, without their secrets")).action(
    async (options: RestOptions) => {
      const client = await RestClient.open(options);
      const page = await client.get<Body<typeof tokens>>("/v1/tokens?limit=500");
      if (options.json === true) return printJson(page);
      const rows = page.items.map((token) => [
        token.id,
        token.name,
        token.scope,
        time(token.createdAtMs),
        token.expiresAtMs === undefined ? "never" : time(token.expiresAtMs),
        token.lastUsedAtMs === undefined ? "not since start" : time(token.lastUsedAtMs),
      ]);
      printTable(["ID", "NAME", "SCOPE", "CREATED", "ENDS", "LAST USED"], rows, "no tokens");
    },
  );
  withRestOptions(
    group.command("revoke").argument("<id>").description("refuse a token from now on"),
  ).action(async (id: string, options: RestOptions) => {
    const client = await RestClient.open(options);
    await client.delete(`/v1/tokens/${encodeURIComponent(id)}`);
    if (options.json === true) printJson({ id, revoked: true });
    else print(`${id} is revoked`);
  });
}
