// Tasks between real agents over libp2p: ordered on the command line, done by programs over MQTT and REST.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectAsync } from "mqtt";
import t, { type Test } from "tap";
import { AgentProcess, agentMesh, until } from "../support/agent-process.ts";

t.setTimeout(600_000);

const KINDS = 'coordination.tasks.kinds=[{"name":"measure"}]';

interface Task {
  readonly id: string;
  readonly state: string;
  readonly agents: readonly string[];
  readonly attempts: number;
  readonly results: readonly { readonly agentId: string; readonly output: unknown }[];
  readonly history: readonly { readonly what: string; readonly agentId?: string }[];
}

async function start(t: Test, name: string, sets: readonly string[] = []): Promise<AgentProcess> {
  const data = mkdtempSync(join(tmpdir(), "tasks-"));
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

async function fleet(t: Test): Promise<[AgentProcess, AgentProcess, AgentProcess]> {
  const boss = await start(t, "boss");
  const { addresses } = await boss.get<{ addresses: string[] }>("/v1/mesh");
  const bootstrap = `mesh.bootstrap=["${addresses[0]}"]`;
  const one = await start(t, "one", [bootstrap, KINDS]);
  const two = await start(t, "two", [bootstrap, KINDS, 'coordination.roles.skills=["camera"]']);
  const agents: [AgentProcess, AgentProcess, AgentProcess] = [boss, one, two];
  await until("all to know each other", async () => {
    const counts = await Promise.all(
      agents.map((agent) => agent.get<{ members: { alive: number } }>("/v1/mesh")),
    );
    return counts.every(({ members }) => members.alive === 3);
  });
  return agents;
}

const taskOf = (agent: AgentProcess, id: string): Promise<Task> =>
  agent.get<Task>(`/v1/tasks/${id}`);

async function submit(agent: AgentProcess, ...words: readonly string[]): Promise<string> {
  const { stdout, stderr, code } = await agentMesh([
    "task",
    "submit",
    "--data",
    agent.data,
    ...words,
  ]);
  if (code !== 0) throw new Error(stderr);
  return stdout.trim();
}

/** A program beside the agent that does whatever it is offered. @returns how many offers came */
async function program(t: Test, agent: AgentProcess, name: string): Promise<() => number> {
  const client = await connectAsync(`mqtt://127.0.0.1:${agent.mqttPort}`);
  t.teardown(() => client.endAsync(true));
  let offers = 0;
  client.on("message", (topic, payload) => {
    if (topic.endsWith("/result")) return;
    offers++;
    const { input } = JSON.parse(payload.toString()) as { input: unknown };
    client.publish(`${topic}/result`, JSON.stringify({ output: { by: name, input } }), { qos: 1 });
  });
  await client.subscribeAsync(`agent-mesh/${name}/$tasks/measure/+`, { qos: 1 });
  return () => offers;
}

t.test("an agent is killed with a task in hand, and the result comes from another", async (t) => {
  const [boss, one, two] = await fleet(t);
  const id = await submit(boss, "measure", "--input", '{"room":7}');
  const held = await until("an agent to be at work", async () => {
    const task = await taskOf(boss, id);
    return task.state === "working" && task;
  });
  const [dying, other] = held.agents[0] === "one" ? [one, two] : [two, one];
  const name = other === one ? "one" : "two";
  await until("it to be offered there", async () => {
    const { items } = await dying.get<{ items: { id: string }[] }>("/v1/tasks/offers");
    return items.some((offer) => offer.id === id);
  });
  await program(t, other, name);
  const watching = agentMesh(["task", "watch", id, "--data", boss.data]);
  await dying.kill();
  const task = await until("the other to have done it", async () => {
    const now = await taskOf(boss, id);
    return now.state === "done" && now;
  });
  t.match(task.results, [{ agentId: name, output: { by: name, input: { room: 7 } } }]);
  t.ok(task.history.some(({ what }) => what === "lost"));
  const watched = await watching;
  t.equal(watched.code, 0, watched.stderr);
  t.match(watched.stdout, new RegExp(`result ${name}[^]*done\\n${name}: \\{"by":"${name}"`));
  t.match((await agentMesh(["task", "list", "--data", boss.data])).stdout, /measure +done/);
  const metrics = await (await boss.ask("/metrics")).text();
  t.match(metrics, /agent_mesh_tasks\{state="done"\} 1/);
  t.match(metrics, /agent_mesh_tasks_assigned_total 1/);

  await boss.stop();
});

t.test("so many agents as are needed, and what nobody can do is refused", async (t) => {
  const [boss, one, two] = await fleet(t);
  const offers = await Promise.all([program(t, one, "one"), program(t, two, "two")]);
  const both = await submit(boss, "measure", "--min-agents", "2", "--input", "1");
  const done = await until("both to have done it", async () => {
    const now = await taskOf(boss, both);
    return now.state === "done" && now;
  });
  t.same(done.results.map(({ agentId }) => agentId).sort(), ["one", "two"]);
  t.same(
    offers.map((count) => count()),
    [1, 1],
  );

  const refused = await agentMesh(["task", "submit", "fly", "--data", boss.data]);
  t.equal(refused.code, 1);
  t.match(refused.stderr, /nobody in the fleet has: kind fly.*tasks\.unmet/);
  const few = await agentMesh([
    "task",
    "submit",
    "measure",
    "--min-agents",
    "3",
    "--data",
    boss.data,
  ]);
  t.match(few.stderr, /3 agents are needed at least, and 2 can do it/);
  const camera = await submit(boss, "measure", "--need", "camera", "--method", "distribution");
  const described = await submit(boss, "describe", "--min-agents", "3");
  await until("all to be done", async () => {
    const states = await Promise.all([camera, described].map((id) => taskOf(boss, id)));
    return states.every(({ state }) => state === "done");
  });
  t.match((await taskOf(boss, camera)).results, [{ agentId: "two" }]);
  const { results } = await taskOf(boss, described);
  t.same(results.map(({ output }) => (output as { agentId: string }).agentId).sort(), [
    "boss",
    "one",
    "two",
  ]);
  t.match((await agentMesh(["task", "submit", "--help"])).stdout, /--min-agents/);

  await boss.ask("/v1/trails/ways%2Fnorth/deposits", {
    method: "POST",
    headers: {
      authorization: `Bearer ${readFileSync(join(boss.data, "admin.token"), "utf8").trim()}`,
      "content-type": "application/json",
    },
    body: '{"amount":5}',
  });
  const trail = await until("the trail to be smelled elsewhere", async () => {
    const { stdout } = await agentMesh(["trail", "list", "--json", "--data", two.data]);
    const { items } = JSON.parse(stdout) as { items: { trail: string; level: number }[] };
    return items[0];
  });
  t.equal(trail.trail, "ways/north");
  t.ok(trail.level > 1 && trail.level <= 5);
  const deposited = await agentMesh(["trail", "deposit", "ways/south", "2", "--data", one.data]);
  t.match(deposited.stdout, /ways\/south is at 2/);
  const chosen = await agentMesh(["trail", "choose", "a", "b", "--data", one.data]);
  t.match(chosen.stdout, /^[ab]\n$/);
});

t.test("an agent that is killed goes on with the orders that it took", async (t) => {
  const [boss, one, two] = await fleet(t);
  const { addresses } = await one.get<{ addresses: string[] }>("/v1/mesh");
  const id = await submit(boss, "measure", "--input", '"again"', "--deadline", "10m");
  await boss.kill();
  await program(t, one, "one");
  await program(t, two, "two");
  const again = await AgentProcess.start(t, boss.data, [
    "agent.id=boss",
    "mesh.port=0",
    'mesh.transports=["tcp"]',
    "power.mode=normal",
    `mesh.bootstrap=["${addresses[0]}"]`,
  ]);
  const task = await until(
    "it to be done",
    async () => {
      const now = await taskOf(again, id);
      return now.state === "done" && now;
    },
    90_000,
  );
  t.match(task.results, [{ output: { input: "again" } }]);
  t.ok(task.history.some(({ what }) => what === "restarted"));
});
