// Real agents among nodes that lie, flood and crowd in: the honest ones stay alive to each other and linked, and what
// was done to them is refused, counted, and told once.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t, { type Test } from "tap";
import { MEMBERSHIP_PROTOCOL } from "../../src/mesh/fleet/fleet.ts";
import { accusationNews, encodeMessage, type News } from "../../src/mesh/membership/codec.ts";
import type { Network } from "../../src/platform/network.ts";
import { AgentProcess, until } from "../support/agent-process.ts";
import { libp2pNode } from "../support/libp2p-node.ts";

t.setTimeout(300_000);

interface Agent {
  readonly agentId: string;
  readonly peerId: string;
  readonly state: string;
  readonly linked: boolean;
}

const HONEST = 6;
const FAKES = 10;

async function startAgents(t: Test, count: number, sets: readonly string[] = []) {
  const agents: AgentProcess[] = [];
  let first = "";
  for (let at = 0; at < count; at++) {
    const data = mkdtempSync(join(tmpdir(), "mesh-hostile-"));
    t.teardown(() => rmSync(data, { recursive: true, force: true }));
    const agent = await AgentProcess.start(t, data, [
      `agent.id=honest-${at}`,
      "mesh.port=0",
      'mesh.transports=["tcp"]',
      ...(first === "" ? [] : [`mesh.bootstrap=["${first}"]`]),
      ...sets,
    ]);
    if (first === "") first = await addressOf(agent);
    agents.push(agent);
  }
  return agents;
}

async function addressOf(agent: AgentProcess): Promise<string> {
  const { addresses } = await agent.get<{ addresses: string[] }>("/v1/mesh");
  return addresses[0] ?? "";
}

async function fleetOf(agent: AgentProcess): Promise<readonly Agent[]> {
  return (await agent.get<{ items: Agent[] }>("/v1/fleet/agents?limit=500")).items;
}

const isHonest = ({ agentId }: Agent): boolean => agentId.startsWith("honest-");

/** Honest agents that are linked, as each of them sees it. */
async function honestLinks(agents: readonly AgentProcess[]): Promise<readonly number[]> {
  const fleets = await Promise.all(agents.map(fleetOf));
  return fleets.map((fleet) => fleet.filter((one) => isHonest(one) && one.linked).length);
}

/** A node that is linked to all of them and says what is not true. */
async function startFake(t: Test, addresses: readonly string[]): Promise<Network> {
  const fake = await libp2pNode({ listen: [] });
  t.teardown(() => fake.stop());
  fake.serve(MEMBERSHIP_PROTOCOL, { message: () => undefined });
  await fake.start(() => undefined);
  await Promise.all(
    addresses.map((address) =>
      fake.connect({ addresses: [address] }, { timeoutMs: 10_000 }).catch(() => undefined),
    ),
  );
  return fake;
}

t.test("ten fakes that lie, against six agents", async (t) => {
  const agents = await startAgents(t, HONEST);
  await until("all to know all", async () =>
    (await Promise.all(agents.map(fleetOf))).every(
      (fleet) => fleet.filter(({ state }) => state === "alive").length === HONEST,
    ),
  );
  const addresses = await Promise.all(agents.map(addressOf));
  const honest = (await fleetOf(agents[0] as AgentProcess)).filter(isHonest);
  const fakes = await Promise.all(Array.from({ length: FAKES }, () => startFake(t, addresses)));
  const lies: News[] = honest.flatMap(({ peerId }, at): News[] => [
    accusationNews({
      about: peerId,
      epoch: 1,
      sequence: 1_000,
      by: honest[(at + 1) % honest.length]?.peerId ?? "",
      dead: true,
    }),
    // No signature of anybody.
    { kind: "record", bytes: Uint8Array.from({ length: 200 }, (_, byte) => byte) },
  ]);
  const message = encodeMessage(undefined, lies);
  const deaths: string[] = [];
  for (let round = 0; round < 30; round++) {
    for (const fake of fakes)
      for (const { peer } of fake.links())
        await fake.send(peer, MEMBERSHIP_PROTOCOL, message).catch(() => undefined);
    for (const fleet of await Promise.all(agents.map(fleetOf)))
      for (const { agentId, state } of fleet.filter(isHonest))
        if (state === "dead" || state === "left") deaths.push(agentId);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  t.same(deaths, [], "no honest agent was taken for dead by any");
  await until("everybody to have two honest neighbours", async () =>
    (await honestLinks(agents)).every((links) => links >= 2),
  );

  const [first] = agents as [AgentProcess];
  const { items: bans } = await first.get<{ items: { peerId: string; by: string }[] }>(
    "/v1/mesh/bans",
  );
  t.ok(bans.length > 0, "the fakes are kept away");
  t.ok(bans.every(({ peerId }) => fakes.some(({ self }) => self === peerId)));
  const metrics = await first.ask("/metrics").then((response) => response.text());
  t.match(metrics, /agent_mesh_mesh_offences_total\{kind="[\w-]+"\} [1-9]/, "it is counted");
  t.match(metrics, /agent_mesh_mesh_untaken_total\{kind="idleAccusations"\} [1-9]/);
  t.match(metrics, /agent_mesh_mesh_untaken_total\{kind="staleRecords"\} \d/);
  const { items: entries } = await first.get<{ items: { action: string; subject?: string }[] }>(
    "/v1/mesh/audit?limit=500",
  );
  t.ok(
    await until("the audit log to tell", async () => {
      const { items } = await first.get<{ items: { action: string }[] }>(
        "/v1/mesh/audit?limit=500",
      );
      return items.some(({ action }) => action === "peer.banned");
    }),
  );
  t.ok(entries.length <= 500);
  const complaints = first.log.split("\n").filter((line) => line.includes("broke the rules"));
  // 10 fakes, few kinds of offences, once a minute each: far from one line for each of thousands of lies.
  t.ok(complaints.length <= FAKES * 6, `${complaints.length} lines in the log`);
});

t.test("a node that is crowded by strangers keeps its honest neighbours", async (t) => {
  const [victim, ...others] = (await startAgents(t, 4, [
    "mesh.limits.connectionsMax=12",
    "mesh.limits.neighboursWanted=3",
    "mesh.access.rates.identitiesPerMinute=1000",
  ])) as [AgentProcess, ...AgentProcess[]];
  await until("the honest ones to be linked", async () =>
    (await honestLinks([victim, ...others])).every((links) => links >= 3),
  );
  const address = await addressOf(victim);
  const crowd: Network[] = [];
  for (let at = 0; at < 40; at++) crowd.push(await startFake(t, [address]));
  await new Promise((resolve) => setTimeout(resolve, 5_000));
  const [links] = await honestLinks([victim]);
  t.ok((links ?? 0) >= 2, `${links} honest neighbours among a crowd of ${crowd.length}`);
  const { links: all } = await victim.get<{ links: number }>("/v1/mesh");
  t.ok(all <= 12 + 16, `${all} links at most`);
});

t.test("a thousand new identities from one network are not all let in", async (t) => {
  const [agent] = (await startAgents(t, 1)) as [AgentProcess];
  const address = await addressOf(agent);
  const strangers: Network[] = [];
  for (let at = 0; at < 24; at++) strangers.push(await startFake(t, [address]));
  const linked = await until("the door to have closed", async () => {
    const peers = await agent.get<{ items: unknown[] }>("/v1/mesh/peers?limit=500");
    return peers.items.length <= 16 && peers.items;
  });
  t.ok(linked.length > 0);
  const metrics = await agent.ask("/metrics").then((response) => response.text());
  t.match(metrics, /agent_mesh_mesh_offences_total\{kind="connect-flood"\} [1-9]/);
});
