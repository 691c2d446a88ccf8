import type { Command } from "commander";
import type { bridge } from "../api/schemas/bridge.ts";
import type { Body } from "../api/schemas/common.ts";
import { addCertificate } from "./bridge-certificate.ts";
import { bytes, duration, plural, print, printJson, printPairs } from "./output.ts";
import { RestClient, type RestOptions, withRestOptions } from "./rest-client.ts";

/** Adds `agent-mesh bridge status|certificate`. */
export function registerBridge(program: Command): void {
  const group = program
    .command("bridge")
    .description("look at the bridge to a cluster, and make certificates for it")
    .exitOverride();
  withRestOptions(
    group.command("status").description("where it listens, and what it is attached to"),
  ).action(async (options: RestOptions) => {
    const client = await RestClient.open(options);
    const status = await client.get<Body<typeof bridge>>("/v1/bridge");
    if (options.json === true) printJson(status);
    else printStatus(status);
  });
  addCertificate(group);
}

function printStatus(status: Body<typeof bridge>): void {
  if (!status.enabled) {
    print("the bridge is off; set bridge.listen.enabled=true or bridge.connect");
    return;
  }
  const { listen, gateways, links, counters } = status;
  printPairs([
    ["bridge id", status.bridgeId ?? ""],
    [
      "listens",
      listen === undefined
        ? "nowhere"
        : `${listen.url} (${plural(listen.connectionsNow, "connection")}, ${plural(listen.callsNow, "call")})`,
    ],
    ...gateways.map((gateway) => ["gateway", gatewayText(gateway)] as const),
    ...links
      .filter(({ role }) => role === "gateway")
      .map(({ peerId, bridgeId }) => ["device", peerId ?? bridgeId] as const),
    ["agents", `${counters.agentsNow} on all sides`],
    [
      "messages",
      `${counters.messagesUp} up, ${counters.messagesDown} down, ${counters.messagesLinked} over links`,
    ],
    ["requests", String(counters.requestsServed)],
    ["refused", plural(sum(counters.refusals), "time")],
  ]);
}

function gatewayText(gateway: Body<typeof bridge>["gateways"][number]): string {
  const { name, url, state, reason, retryInMs, attempts, sentBytes, receivedBytes } = gateway;
  if (state === "attached")
    return `${name} (${url}): attached, ${bytes(sentBytes)} sent, ${bytes(receivedBytes)} received`;
  const fault = reason === undefined ? "" : `: ${reason}`;
  const retry =
    retryInMs === undefined
      ? ""
      : `; tries again in ${duration(retryInMs)} (${plural(attempts, "failure")})`;
  return `${name} (${url}): ${state}${fault}${retry}`;
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, value) => total + value, 0);
}
