import type { Command } from "commander";
import type { Body } from "../api/schemas/common.ts";
import type { relay } from "../api/schemas/relay.ts";
import { bytes, plural, print, printJson, printPairs, printTable } from "./output.ts";
import { RestClient, type RestOptions, withRestOptions } from "./rest-client.ts";

/** Adds `agent-mesh relay`. */
export function registerRelay(program: Command): void {
  withRestOptions(
    program
      .command("relay")
      .description("whom this agent relays for, and who relays for it")
      .exitOverride(),
  ).action(async (options: RestOptions) => {
    const client = await RestClient.open(options);
    const status = await client.get<Body<typeof relay>>("/v1/relay");
    if (options.json === true) printJson(status);
    else printStatus(status);
  });
}

function printStatus(status: Body<typeof relay>): void {
  printPairs([
    ["relays", offerText(status)],
    ["kept", `${bytes(status.bytes)} of ${bytes(status.bytesMax)} for others`],
    ...status.hosts.map(
      ({ uplink, agentId, hops, updates, stored }) =>
        [
          "sends",
          `through ${agentId} (uplink ${uplink}, ${plural(hops, "hop")}): ${plural(updates, "update")} on the way, ${stored} of them on its disk`,
        ] as const,
    ),
  ]);
  if (status.guests.length === 0) return;
  print("");
  printTable(
    ["GUEST", "NOW", "WAITS", "KEPT", "TAKEN", "DELIVERED", "REFUSED"],
    status.guests.map((guest) => [
      guest.agentId,
      guest.connected ? "there" : "gone",
      String(guest.updates),
      bytes(guest.bytes),
      String(guest.taken),
      String(guest.delivered),
      refusalText(guest.refused),
    ]),
    "",
  );
}

function offerText({ enabled, offering, reason, route }: Body<typeof relay>): string {
  if (!enabled) return "no: it has no uplink of its own, or relay.enabled is false";
  if (!offering) return `not now${reason === undefined ? "" : `: ${reason}`}`;
  return route.length === 0
    ? "yes, over its own uplink"
    : `yes, through ${plural(route.length, "more agent")}`;
}

function refusalText(refused: Readonly<Record<string, number>>): string {
  const texts = Object.entries(refused).map(([code, times]) => `${code} ${times}`);
  return texts.join(", ") || "never";
}
