// A task outlasts its committee: another one is founded in mid-task, and what was learned stays, after a restart of all as well.
import t from "tap";
import { blobs } from "../../src/federated/data/blobs.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { type RelayAgent, RelayWorld } from "../support/relay-world.ts";

t.setTimeout(400_000);

const SPEC = {
  name: "blobs",
  model: {
    inputShape: [6],
    layers: [{ kind: "dense", units: 3 }],
    loss: "softmax-cross-entropy",
  },
  data: { kind: "dataset", name: "blobs" },
  client: { kind: "local", learningRate: 0.1 },
  rounds: 1_000,
  pace: { agentsMin: 2, deadlineMs: 10_000, takeoverMs: 2_000 },
};

t.test("a committee is founded anew in mid-task, and all begin anew after that", async (t) => {
  const world = new RelayWorld("refounded");
  const names = ["a", "b", "c", "d", "e", "f", "g", "h"];
  const sets = ["consensus.enabled=true", "learning.enabled=true"];
  const agents = names.map((name) => world.agent(name, [], sets));
  const options = { features: 6, classes: 3, train: 30, test: 30, spread: 0.8 };
  for (const agent of agents)
    agent.datasets.set("blobs", blobs(options, new SeededRandom(`blobs/${agent.id}`)));
  for (const [at, agent] of agents.entries()) await agent.start(...agents.slice(0, at));
  const consensus = (agent: RelayAgent) => agent.agent.context.consensus;
  const groupOf = (agent: RelayAgent) => consensus(agent).status().committee?.group;
  await world.until("a committee", () => agents.every((agent) => groupOf(agent) !== undefined));
  const members =
    consensus(agents[0]!)
      .status()
      .committee?.members.map(({ agentId }) => agentId) ?? [];
  t.ok(members.length < names.length, `${members.join()} decide`);
  const roundOf = (agent: RelayAgent, task: string): number =>
    agent.agent.context.learning.task(task)?.latest?.round ?? 0;
  const shownOf = (agent: RelayAgent, task: string): number =>
    agent.agent.context.learning.task(task)?.round ?? 0;
  // Whoever stays has started it.
  const staying = agents.filter(({ id }) => !members.slice(0, -1).includes(id));
  const { task } = await world.settle(staying[0]!.agent.context.learning.start(SPEC));
  await world.until("some rounds", () => agents.every((agent) => roundOf(agent, task) >= 5));

  for (const agent of agents) if (!staying.includes(agent)) agent.crash();
  const before = Math.min(...staying.map((agent) => shownOf(agent, task)));
  const group = groupOf(staying[0]!);
  await world.until(
    "another committee",
    () => {
      for (const agent of staying)
        consensus(agent)
          .found()
          .catch(() => undefined);
      return staying.every((agent) => groupOf(agent) !== undefined && groupOf(agent) !== group);
    },
    1_200_000,
  );
  t.ok(
    staying.every((agent) => shownOf(agent, task) >= before),
    "nothing is forgotten",
  );
  const held = Math.max(...staying.map((agent) => shownOf(agent, task)));
  // All at once, so that nobody can tell the others.
  for (const agent of staying) agent.crash();
  for (const [at, agent] of staying.entries()) await agent.start(...staying.slice(0, at));
  await world.until("the task to be known", () =>
    staying.every((agent) => agent.agent.context.learning.task(task) !== undefined),
  );
  t.ok(
    staying.every((agent) => shownOf(agent, task) >= before),
    `round ${before} is known after the restart: ${staying.map((agent) => shownOf(agent, task)).join()}`,
  );
  await world.until("rounds to go on", () =>
    staying.every((agent) => roundOf(agent, task) >= held + 3),
  );
  const rounds = staying[0]!.agent.context.learning.rounds(task, 0, 1_000) ?? [];
  t.ok(
    rounds.every(({ round }) => round > before - 1),
    "no round is decided again",
  );
  for (const agent of staying) await agent.stop();
});
