// Grants between real agents: nothing without one, everything while it lasts, nothing after.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t, { type Test } from "tap";
import { AgentProcess, agentMesh, until } from "../support/agent-process.ts";

t.setTimeout(600_000);

async function start(t: Test, name: string, sets: readonly string[]): Promise<AgentProcess> {
  const data = mkdtempSync(join(tmpdir(), "mesh-access-"));
  t.teardown(() => rmSync(data, { recursive: true, force: true }));
  return AgentProcess.start(t, data, [
    `agent.id=${name}`,
    "mesh.port=0",
    'mesh.transports=["tcp"]',
    ...sets,
  ]);
}

interface Mesh {
  readonly peerId: string;
  readonly addresses: readonly string[];
}

t.test("a grant lets an agent in, and its end puts it out", async (t) => {
  const office = await start(t, "office", ["mesh.access.mode=granted"]);
  const own = await office.get<Mesh>("/v1/mesh");
  const field = await start(t, "field", [`mesh.bootstrap=["${own.addresses[0]}"]`]);
  const { peerId } = await field.get<Mesh>("/v1/mesh");
  const known = async (): Promise<boolean> => {
    const { items } = await office.get<{ items: { agentId: string; state: string }[] }>(
      "/v1/fleet/agents",
    );
    return items.some(({ agentId, state }) => agentId === "field" && state === "alive");
  };
  await until("the office to have refused it", async () => {
    const { counters } = await office.get<{ counters: { refusals: Record<string, number> } }>(
      "/v1/mesh",
    );
    return Object.keys(counters.refusals).some((code) => code.startsWith("access."));
  });
  t.notOk(await known(), "without a grant it is nobody");

  const cli = async (...words: string[]): Promise<string> => {
    const done = await agentMesh([...words, "--data", office.data]);
    t.equal(done.code, 0, done.stderr);
    return done.stdout.trim();
  };
  const id = await cli("mesh", "grant", "issue", peerId, "--role", "member", "--expires", "40s");
  await until("it to be let in", known, 60_000);
  t.match(await cli("mesh", "grant", "list"), new RegExp(`${id}.*${peerId}.*member.*live`));
  t.match(await cli("mesh", "roles"), /trainer +read_data submit_update/);

  await until(
    "its time to be over",
    async () => {
      const { items } = await office.get<{ items: { peerId: string }[] }>("/v1/mesh/peers");
      const { state } = await office.get<{ state: string }>(`/v1/mesh/grants/${id}`);
      return state === "expired" && !items.some((peer) => peer.peerId === peerId);
    },
    90_000,
  );
  t.match(await cli("mesh", "audit"), /grant\.issued +allowed/);
  t.match(await cli("mesh", "audit", "--verify"), /^whole: [1-9]/);
});

t.test("a banned agent is kept away until it is let in again", async (t) => {
  const one = await start(t, "one", []);
  const { addresses } = await one.get<Mesh>("/v1/mesh");
  const two = await start(t, "two", [`mesh.bootstrap=["${addresses[0]}"]`]);
  const { peerId } = await two.get<Mesh>("/v1/mesh");
  const linked = async (): Promise<boolean> =>
    (await one.get<{ items: { peerId: string }[] }>("/v1/mesh/peers")).items.some(
      (peer) => peer.peerId === peerId,
    );
  await until("them to be linked", linked);
  const ban = await agentMesh([
    "mesh",
    "ban",
    peerId,
    "--reason",
    "stolen",
    "--json",
    "--data",
    one.data,
  ]);
  t.match(JSON.parse(ban.stdout), { peerId, reason: "stolen" });
  await until("the link to be closed", async () => !(await linked()));
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  t.notOk(await linked(), "and it stays so");
  t.match((await agentMesh(["mesh", "bans", "--data", one.data])).stdout, /until lifted.*stolen/);
  t.equal((await agentMesh(["mesh", "unban", peerId, "--data", one.data])).code, 0);
  await until("them to be linked again", linked, 90_000);
});
