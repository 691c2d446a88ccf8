import { type Command, Option } from "commander";
import type { Body } from "../api/schemas/common.ts";
import type { fleetAgents } from "../api/schemas/mesh.ts";
import { duration, print, printJson, printTable } from "./output.ts";
import { RestClient, type RestOptions, withRestOptions } from "./rest-client.ts";

type Agents = Body<typeof fleetAgents>;

/** Adds `agent-mesh fleet`: every agent that this one knows. */
export function registerFleet(program: Command): void {
  withRestOptions(
    program
      .command("fleet")
      .description("the agents of the fleet, as the running agent knows them")
      .addOption(
        new Option("--state <state>", "only those in this state").choices([
          "alive",
          "suspect",
          "dead",
          "left",
        ]),
      ),
  ).action(async (options: RestOptions & { state?: string }) => {
    const agents = await readAll(await RestClient.open(options), options.state);
    if (options.json === true) return printJson(agents);
    const rows = agents.items.map((agent) => [
      agent.self ? `${agent.agentId} *` : agent.agentId,
      agent.state,
      duration(agent.forMs),
      agent.linked ? "linked" : "",
      agent.health?.status ?? "",
      powerOf(agent),
      agent.health?.queueUpdates === undefined ? "" : String(agent.health.queueUpdates),
      agent.version,
    ]);
    const headings = ["AGENT", "STATE", "SINCE", "LINK", "HEALTH", "POWER", "QUEUE", "VERSION"];
    printTable(headings, rows, "no such agents");
    const { alive, suspect, dead, left } = agents.counts;
    print(`${alive} alive, ${suspect} suspect, ${dead} dead, ${left} left; * is this agent`);
  });
}

async function readAll(client: RestClient, state: string | undefined): Promise<Agents> {
  const items: Agents["items"][number][] = [];
  const filter = state === undefined ? "" : `&state=${state}`;
  let cursor: string | undefined;
  let page: Agents;
  do {
    const from = cursor === undefined ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    page = await client.get<Agents>(`/v1/fleet/agents?limit=500${filter}${from}`);
    items.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return { items, counts: page.counts };
}

function powerOf({ health, capabilities }: Agents["items"][number]): string {
  const charge = health?.batteryPercent === undefined ? "" : ` ${health.batteryPercent} %`;
  const supply = capabilities?.powerSupply === "battery" ? "battery" : "";
  return `${health?.powerMode ?? ""} ${supply}${charge}`.trim();
}
