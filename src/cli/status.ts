import type { Command } from "commander";
import type { Body } from "../api/schemas/common.ts";
import type { device as deviceSchema } from "../api/schemas/device.ts";
import type { power as powerSchema } from "../api/schemas/power.ts";
import type { queue as queueSchema } from "../api/schemas/queue.ts";
import type { uplinks as uplinksSchema } from "../api/schemas/uplinks.ts";
import { bytes, duration, plural, print, printJson, printPairs } from "./output.ts";
import { RestClient, type RestOptions, withRestOptions } from "./rest-client.ts";

interface Status {
  readonly url: string;
  readonly ready: boolean;
  readonly checks: readonly { name: string; ok: boolean; detail?: string }[];
  readonly device: Body<typeof deviceSchema>;
  readonly power: Body<typeof powerSchema>;
  readonly queue: Body<typeof queueSchema>;
  readonly uplinks: Body<typeof uplinksSchema>["items"];
}

/** Adds `agent-mesh status`: how the running agent is. Exits 1 when it is not ready. */
export function registerStatus(program: Command): void {
  withRestOptions(
    program.command("status").description("say how the running agent is; exits 1 when not well"),
  ).action(async (options: RestOptions) => {
    const status = await readStatus(await RestClient.open(options));
    if (options.json === true) printJson(status);
    else printStatus(status);
    if (!status.ready) process.exitCode = 1;
  });
}

async function readStatus(client: RestClient): Promise<Status> {
  const [readiness, device, power, queue, uplinks] = await Promise.all([
    client.getReadiness<Pick<Status, "ready" | "checks">>(),
    client.get<Status["device"]>("/v1/device"),
    client.get<Status["power"]>("/v1/power"),
    client.get<Status["queue"]>("/v1/queue"),
    client.get<{ items: Status["uplinks"] }>("/v1/uplinks?limit=500"),
  ]);
  const { ready, checks } = readiness;
  return { url: client.url, ready, checks, device, power, queue, uplinks: uplinks.items };
}

function printStatus({ url, ready, checks, device, power, queue, uplinks }: Status): void {
  printPairs([
    ["agent", `${device.agentId} (version ${device.version}), up ${duration(device.uptimeMs)}`],
    ["state", ready ? "ready" : "not ready"],
    ["device", `${device.identity.model}, profile ${device.profile.id}`],
    ["page", url],
    ["power", `${power.mode}: ${power.reason}`],
    [
      "queue",
      `${plural(queue.updates, "update")}, ${bytes(queue.bytes)} of ${bytes(queue.bytesMax)}${queue.paused ? ", paused" : ""}; ${plural(queue.deadLetters, "dead letter")}`,
    ],
    ...(uplinks.length === 0 ? [["uplinks", "none configured"] as const] : []),
    ...uplinks.map((uplink) => [`uplink ${uplink.name}`, describeUplink(uplink)] as const),
  ]);
  for (const { name, detail } of checks.filter(({ ok }) => !ok)) {
    print(`not well: ${name}: ${detail ?? "no detail"}`);
  }
}

function describeUplink(uplink: Status["uplinks"][number]): string {
  const reason = uplink.reason === undefined ? "" : `: ${uplink.reason}`;
  const retry =
    uplink.retryInMs === undefined ? "" : `, tries again in ${duration(uplink.retryInMs)}`;
  const day =
    uplink.dayBytes === undefined || uplink.dayBytesMax === undefined
      ? ""
      : `, ${bytes(uplink.dayBytes)} of ${bytes(uplink.dayBytesMax)} today`;
  const active = uplink.active ? ", carries the updates" : "";
  return `${uplink.state}${active}${reason}${retry} (${uplink.url}), ${plural(uplink.acknowledged, "update")} delivered${day}`;
}
