import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import type { Test } from "tap";
import { AgentProcess } from "./agent-process.ts";

/** An agent of the fleet as REST tells of it. */
export interface Listed {
  readonly agentId: string;
  readonly peerId: string;
  readonly state: string;
  readonly capabilities?: { readonly features: readonly string[] };
}

/** Starts an agent in the mesh on free ports; payloads that are no JSON become dead letters, which it tells the fleet. */
export function startMeshAgent(
  t: Test,
  data: string,
  id: string,
  options: { transports?: string; sets?: readonly string[]; bootstrap?: readonly string[] } = {},
): Promise<AgentProcess> {
  const { transports = '["tcp","ws"]', sets = [], bootstrap = [] } = options;
  return AgentProcess.start(t, data, [
    `agent.id=${id}`,
    "mesh.enabled=true",
    "mesh.port=0",
    "mesh.webSocketPort=0",
    "mesh.webRtcPort=0",
    `mesh.transports=${transports}`,
    `mesh.bootstrap=${JSON.stringify(bootstrap)}`,
    'mqtt.topics=[{"filter":"sensors/#","format":"json"}]',
    ...sets,
  ]);
}

/** @returns the address of that kind under which the agent's node is dialled */
export function addressOf(agent: AgentProcess, kind: RegExp): string {
  const run = JSON.parse(readFileSync(join(agent.data, "run.json"), "utf8")) as {
    mesh: { addresses: readonly string[] };
  };
  const address = run.mesh.addresses.find((one) => kind.test(one));
  if (address === undefined) throw new Error(`no ${kind} among ${run.mesh.addresses.join(", ")}`);
  return address;
}

/** @returns the fleet as that agent knows it */
export async function fleetOf(agent: AgentProcess): Promise<readonly Listed[]> {
  return (await agent.get<{ items: readonly Listed[] }>("/v1/fleet/agents")).items;
}

/** @returns the agents to which that one is linked */
export async function neighboursOf(
  agent: AgentProcess,
): Promise<readonly { readonly agentId?: string; readonly transport: string }[]> {
  type Peers = { items: readonly { readonly agentId?: string; readonly transport: string }[] };
  return (await agent.get<Peers>("/v1/mesh/peers")).items;
}

/** Opens the agent's page and signs in with its first token. */
export async function openAgentPage(
  page: Page,
  agent: AgentProcess,
  url = agent.api,
): Promise<void> {
  await page.goto(url);
  const token = readFileSync(join(agent.data, "admin.token"), "utf8").trim();
  await page.getByLabel("Access token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("Live", { exact: true }).waitFor();
}
