// Roles between real agents over libp2p, as REST, command line, metrics and events show them.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t, { type Test } from "tap";
import type { RolesStatus } from "../../src/coordination/roles/view.ts";
import { AgentProcess, agentMesh, until } from "../support/agent-process.ts";

t.setTimeout(600_000);

async function start(t: Test, name: string, sets: readonly string[] = []): Promise<AgentProcess> {
  const data = mkdtempSync(join(tmpdir(), "roles-"));
  t.teardown(() => rmSync(data, { recursive: true, force: true }));
  return AgentProcess.start(t, data, [
    `agent.id=${name}`,
    "mesh.port=0",
    'mesh.transports=["tcp"]',
    // It is mains here, whatever the machine that the test runs on thinks of its heat.
    "power.mode=normal",
    ...sets,
  ]);
}

const rolesOf = (agent: AgentProcess): Promise<RolesStatus> => agent.get<RolesStatus>("/v1/roles");

/** @returns what they all go by, once it is one and the same */
function agreement(agents: readonly AgentProcess[], leaders: readonly string[]) {
  return until(
    `agreement on one of ${leaders.join(", ")}`,
    async () => {
      const known = await Promise.all(agents.map(rolesOf));
      const names = known.map(
        ({ assignment }) => `${assignment?.term} ${assignment?.coordinator?.agentId}`,
      );
      const leader = known[0]?.assignment?.coordinator?.agentId ?? "";
      return new Set(names).size === 1 && leaders.includes(leader) && known;
    },
    90_000,
  );
}

t.test("three agents agree, and another leads when the coordinator is killed", async (t) => {
  const first = await start(t, "first");
  const { addresses } = await first.get<{ addresses: string[] }>("/v1/mesh");
  const bootstrap = `mesh.bootstrap=["${addresses[0]}"]`;
  const second = await start(t, "second", [bootstrap, 'coordination.roles.skills=["camera"]']);
  const tired = await start(t, "tired", [bootstrap, "power.mode=critical"]);
  const agents = [first, second, tired];
  const known = await agreement(agents, ["first", "second"]);
  const leader = known[0]?.assignment?.coordinator?.agentId ?? "";
  const term = known[0]?.assignment?.term ?? 0;
  t.ok(known.every(({ assignment }) => assignment?.quorum));
  t.match(known[2]?.self, { agentId: "tired", standing: "none", coordination: "worker" });
  await until("each to know its own part", async () => {
    const roles = (await Promise.all(agents.map(rolesOf))).map(({ self }) => self?.coordination);
    return roles.filter((role) => role === "coordinator").length === 1 && roles[2] === "worker";
  });
  await until("all to be rated", async () => (await rolesOf(tired)).candidates.length === 3);

  const leading = leader === "first" ? first : second;
  const other = leader === "first" ? second : first;
  const text = await agentMesh(["roles", "--data", tired.data]);
  t.match(text.stdout, new RegExp(`coordinator +${leader}\n`), text.stderr);
  t.match(text.stdout, /tired \* +\d+ +none +worker/);
  const json = await agentMesh(["roles", "--json", "--data", leading.data]);
  t.match(JSON.parse(json.stdout), { self: { agentId: leader, coordination: "coordinator" } });
  t.match((await agentMesh(["roles", "--help"])).stdout, /who has which role/);
  const metrics = await (await leading.ask("/metrics")).text();
  t.match(metrics, /agent_mesh_role\{kind="coordination",role="coordinator"\} 1/);
  t.match(metrics, new RegExp(`agent_mesh_roles_term ${term}\n`));

  await leading.kill();
  const after = await agreement([other, tired], [leader === "first" ? "second" : "first"]);
  t.ok((after[0]?.assignment?.term ?? 0) > term);
  t.equal((await rolesOf(other)).self?.coordination, "coordinator");
  t.match(await eventsOf(other), /"coordination":"coordinator"/);

  const { code } = await other.stop();
  t.equal(code, 0);
  await until("nobody to lead", async () => (await rolesOf(tired)).assignment === undefined);
});

t.test("without a mesh, or when switched off, there are no roles", async (t) => {
  const alone = await start(t, "alone", ["mesh.enabled=false"]);
  t.match(await rolesOf(alone), { enabled: false, candidates: [] });
  const off = await start(t, "off", [
    "coordination.roles.enabled=false",
    "coordination.tasks.enabled=false",
  ]);
  t.match(await rolesOf(off), { enabled: false });
  const { items } = await off.get<{ items: { capabilities: { features: string[] } }[] }>(
    "/v1/fleet/agents",
  );
  t.same(items[0]?.capabilities.features, []);
  t.match((await agentMesh(["roles", "--data", off.data])).stdout, /takes no part/);
});

/** @returns what was told of changes of roles so far */
async function eventsOf(agent: AgentProcess): Promise<string> {
  const admin = readFileSync(join(agent.data, "admin.token"), "utf8").trim();
  const response = await agent.ask("/v1/events?types=roles.changed", {
    headers: { authorization: `Bearer ${admin}`, "last-event-id": "1" },
  });
  let said = "";
  for await (const chunk of response.body ?? []) {
    said += Buffer.from(chunk).toString();
    if (said.includes('"coordination":"coordinator"') && said.endsWith("\n\n")) break;
  }
  return said;
}
