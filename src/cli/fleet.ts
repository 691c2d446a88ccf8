import { setTimeout as sleep } from "node:timers/promises";
import { type Command, Option } from "commander";
import type { Body } from "../api/schemas/common.ts";
import type { fleetAgents, fleetSurvey } from "../api/schemas/mesh.ts";
import { duration, plural, print, printJson, printTable } from "./output.ts";
import { RestClient, type RestOptions, withRestOptions } from "./rest-client.ts";

type Agents = Body<typeof fleetAgents>;

const POLL_MS = 1_000;

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
      )
      .option("--all", "ask other agents for those that this one has no room for"),
  ).action(async (options: RestOptions & { state?: string; all?: true }) => {
    const agents = await readAll(await RestClient.open(options), options);
    if (options.json === true) return printJson(agents);
    const rows = agents.items.map((agent) => [
      agent.self ? `${agent.agentId} *` : agent.agentId,
      agent.state,
      duration(agent.forMs),
      agent.self ? "" : `${duration(agent.ageMs)} ago`,
      `${Math.round(100 * agent.confidence)} %`,
      agent.linked ? "linked" : "",
      agent.health?.status ?? "",
      powerOf(agent),
      agent.health?.queueUpdates === undefined ? "" : String(agent.health.queueUpdates),
      agent.version,
    ]);
    const headings = [
      "AGENT",
      "STATE",
      "FOR",
      "HEARD",
      "SURE",
      "LINK",
      "HEALTH",
      "POWER",
      "QUEUE",
      "VERSION",
    ];
    printTable(headings, rows, "no such agents");
    const { alive, suspect, dead, left, estimated } = agents.counts;
    print(`${alive} alive, ${suspect} suspect, ${dead} dead, ${left} left; * is this agent`);
    if (estimated.relativeError > 0)
      print(
        `the fleet has about ${estimated.agents} agents (± ${Math.round(200 * estimated.relativeError)} %)${options.all === true ? "" : "; --all asks others for the rest"}`,
      );
    if (agents.survey !== undefined) {
      const { found, coverage, asked, tookMs } = agents.survey;
      print(
        `${found} found, about ${(100 * coverage).toFixed(1)} % of all, by asking ${plural(asked, "agent")} in ${duration(tookMs)}`,
      );
    }
  });
}

async function readAll(
  client: RestClient,
  { state, all }: { readonly state?: string; readonly all?: true },
): Promise<Agents> {
  const items: Agents["items"][number][] = [];
  const filter = `${state === undefined ? "" : `&state=${state}`}${all === true ? "&scope=all" : ""}`;
  let cursor: string | undefined;
  let page: Agents;
  do {
    const from = cursor === undefined ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    page = await patiently(client, `/v1/fleet/agents?limit=500${filter}${from}`);
    items.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return { ...page, items };
}

/** Waits for a survey that takes its time; the agent ends each within minutes. */
async function patiently(client: RestClient, path: string): Promise<Agents> {
  for (;;) {
    const answer = await client.get<Agents | Body<typeof fleetSurvey>>(path);
    if ("items" in answer) return answer;
    await sleep(POLL_MS);
  }
}

function powerOf({ health, capabilities }: Agents["items"][number]): string {
  const charge = health?.batteryPercent === undefined ? "" : ` ${health.batteryPercent} %`;
  const supply = capabilities?.powerSupply === "battery" ? "battery" : "";
  return `${health?.powerMode ?? ""} ${supply}${charge}`.trim();
}
