import { readFileSync } from "node:fs";
import type { Command } from "commander";
import type {
  auditPage,
  auditVerdict,
  bans,
  exported,
  grant,
  grants,
  imported,
  meshRoles,
} from "../api/schemas/access.ts";
import type { Body } from "../api/schemas/common.ts";
import { duration, print, printJson, printTable, time } from "./output.ts";
import { parseDuration } from "./parse-duration.ts";
import { RestClient, type RestOptions, withRestOptions } from "./rest-client.ts";

/** Adds `grant`, `bans`, `ban`, `unban`, `roles` and `audit` to `agent-mesh mesh`. */
export function registerMeshAccess(mesh: Command): void {
  addGrants(mesh.command("grant").description("who may do what in the mesh").exitOverride());
  addBans(mesh);
  withRestOptions(mesh.command("roles").description("the roles and what they allow")).action(
    async (options: RestOptions) => {
      const page = await read<Body<typeof meshRoles>>(options, "/v1/mesh/roles?limit=500");
      if (options.json === true) return printJson(page);
      const rows = page.items.map(({ name, permissions }) => [name, permissions.join(" ")]);
      printTable(["ROLE", "PERMISSIONS"], rows, "no roles");
    },
  );
  addAudit(mesh);
}

function addGrants(group: Command): void {
  withRestOptions(
    group
      .command("issue")
      .argument("<peer>", "peer id of the agent, as `mesh status` shows it there")
      .option("--role <name...>", "roles to give")
      .option("--permission <name...>", "single permissions to give")
      .option("--expires <time>", "ends after this long, for example 12h or 30d", parseDuration)
      .description("sign a grant with this device's key"),
  ).action(
    async (
      subject: string,
      options: RestOptions & { role?: string[]; permission?: string[]; expires?: number },
    ) => {
      const client = await RestClient.open(options);
      const { role: roles, permission: permissions, expires: expiresInMs } = options;
      const issued = await client.post<Body<typeof grant>>("/v1/mesh/grants", {
        subject,
        ...(roles !== undefined && { roles }),
        ...(permissions !== undefined && { permissions }),
        ...(expiresInMs !== undefined && { expiresInMs }),
      });
      if (options.json === true) printJson(issued);
      else print(issued.id);
    },
  );
  withRestOptions(group.command("list").description("the grants known here")).action(
    async (options: RestOptions) => {
      const page = await read<Body<typeof grants>>(options, "/v1/mesh/grants?limit=500");
      if (options.json === true) return printJson(page);
      const rows = page.items.map((one) => [
        one.id,
        one.subject,
        [...one.roles, ...one.permissions].join(" "),
        one.state,
        one.expiresAtMs === undefined ? "never" : time(one.expiresAtMs),
      ]);
      printTable(["ID", "FOR", "GIVES", "STATE", "ENDS"], rows, "no grants");
    },
  );
  withRestOptions(
    group.command("revoke").argument("<id>").description("take a grant of this device back"),
  ).action(async (id: string, options: RestOptions) => {
    const client = await RestClient.open(options);
    await client.delete(`/v1/mesh/grants/${encodeURIComponent(id)}`);
    if (options.json === true) printJson({ id, revoked: true });
    else print(`${id} is taken back`);
  });
  withRestOptions(
    group.command("export").argument("<id>").description("print a grant, to carry it elsewhere"),
  ).action(async (id: string, options: RestOptions) => {
    const path = `/v1/mesh/grants/${encodeURIComponent(id)}/export`;
    const { text } = await read<Body<typeof exported>>(options, path);
    if (options.json === true) printJson({ id, text });
    else print(text.trimEnd());
  });
  withRestOptions(
    group
      .command("import")
      .argument("[file]", "what an export printed; standard input unless given")
      .description("take in a grant or a list of revocations"),
  ).action(async (file: string | undefined, options: RestOptions) => {
    const text = readFileSync(file ?? 0, "utf8");
    const client = await RestClient.open(options);
    const done = await client.post<Body<typeof imported>>("/v1/mesh/grants/import", { text });
    if (options.json === true) printJson(done);
    else print(done.kind === "grant" ? `grant ${done.id} counts here now` : "revocations taken in");
  });
}

function addBans(mesh: Command): void {
  withRestOptions(mesh.command("bans").description("the nodes that are kept away")).action(
    async (options: RestOptions) => {
      const page = await read<Body<typeof bans>>(options, "/v1/mesh/bans?limit=500");
      if (options.json === true) return printJson(page);
      const rows = page.items.map((one) => [
        one.peerId,
        one.by,
        one.endsInMs === undefined ? "until lifted" : duration(one.endsInMs),
        one.reason,
      ]);
      printTable(["PEER", "BY", "LEFT", "REASON"], rows, "nobody is banned");
    },
  );
  withRestOptions(
    mesh
      .command("ban")
      .argument("<peer>")
      .requiredOption("--reason <text>", "why, for those who come after you")
      .option("--for <time>", "ends after this long, for example 12h", parseDuration)
      .description("keep a node away from this device"),
  ).action(async (peerId: string, options: RestOptions & { reason: string; for?: number }) => {
    const client = await RestClient.open(options);
    const { reason, for: durationMs } = options;
    const given = await client.post("/v1/mesh/bans", {
      peerId,
      reason,
      ...(durationMs !== undefined && { durationMs }),
    });
    if (options.json === true) printJson(given);
    else print(`${peerId} is banned`);
  });
  withRestOptions(
    mesh.command("unban").argument("<peer>").description("let a node in again"),
  ).action(async (peer: string, options: RestOptions) => {
    const client = await RestClient.open(options);
    await client.delete(`/v1/mesh/bans/${encodeURIComponent(peer)}`);
    if (options.json === true) printJson({ peer, banned: false });
    else print(`${peer} may come back`);
  });
}

function addAudit(mesh: Command): void {
  withRestOptions(
    mesh
      .command("audit")
      .option("--limit <count>", "at most this many entries", "50")
      .option("--verify", "check that the log is whole instead; exits 1 when it is not")
      .description("who did what, newest first"),
  ).action(async (options: RestOptions & { limit: string; verify?: true }) => {
    if (options.verify === true) return verify(options);
    const limit = encodeURIComponent(options.limit);
    const page = await read<Body<typeof auditPage>>(options, `/v1/mesh/audit?limit=${limit}`);
    if (options.json === true) return printJson(page);
    const rows = page.items.map((entry) => [
      time(entry.atMs),
      entry.actor,
      entry.action,
      entry.outcome,
      entry.subject ?? "",
      `${entry.detail ?? ""}${(entry.times ?? 1) > 1 ? ` (${entry.times} times)` : ""}`,
    ]);
    printTable(["WHEN", "WHO", "WHAT", "OUTCOME", "TO", "DETAIL"], rows, "nothing yet");
  });
}

async function verify(options: RestOptions): Promise<void> {
  const verdict = await read<Body<typeof auditVerdict>>(options, "/v1/mesh/audit/verification");
  if (options.json === true) printJson(verdict);
  else if (verdict.sound) print(`whole: ${verdict.entries ?? 0} entries`);
  else print(`not whole: the ${verdict.reason} ${verdict.at ?? ""} is missing or was changed`);
  if (!verdict.sound) process.exitCode = 1;
}

async function read<T>(options: RestOptions, path: string): Promise<T> {
  const client = await RestClient.open(options);
  return client.get<T>(path);
}
