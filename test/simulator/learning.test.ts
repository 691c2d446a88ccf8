// What a fleet learns, as its agents are composed, in virtual time: nobody coordinates, each trains on its own samples.
import t, { type Test } from "tap";
import { blobs } from "../../src/federated/data/blobs.ts";
import type { LearningTask } from "../../src/federated/view.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { type RelayAgent, RelayWorld } from "../support/relay-world.ts";

t.setTimeout(400_000);

const BASE = ["power.mode=normal", "consensus.enabled=true", "learning.enabled=true"];
const SPEC = {
  name: "blobs",
  model: {
    inputShape: [10],
    layers: [
      { kind: "dense", units: 16, activation: "relu" },
      { kind: "dense", units: 4 },
    ],
    loss: "softmax-cross-entropy",
  },
  data: { kind: "dataset", name: "blobs" },
  client: { kind: "local", learningRate: 0.1, epochs: 2 },
  rounds: 8,
  pace: { agentsMin: 2, deadlineMs: 20_000, takeoverMs: 5_000 },
};
/** All agents' samples are drawn from these classes, each agent's own ones. */
const dataset = (name: string) => {
  const whole = blobs(
    { features: 10, classes: 4, train: 60, test: 60, spread: 0.8 },
    new SeededRandom("blobs"),
  );
  const own = new SeededRandom(`blobs/${name}`);
  const noisy = whole.train.features.map((value) => value + 0.4 * (own.next() - 0.5));
  return { ...whole, train: { ...whole.train, features: noisy } };
};

/** Agents that are all linked to the first, with a committee. */
async function fleet(
  seed: string,
  names: readonly string[],
  sets: readonly string[] = [],
): Promise<{ world: RelayWorld; agents: RelayAgent[] }> {
  const world = new RelayWorld(seed);
  const agents = names.map((name) => world.agent(name, [], [...BASE, ...sets]));
  for (const agent of agents) agent.datasets.set("blobs", dataset(agent.id));
  for (const [at, agent] of agents.entries()) await agent.start(...agents.slice(0, at));
  await world.until("a committee", () =>
    agents.every((agent) => agent.agent.context.consensus.status().committee !== undefined),
  );
  return { world, agents };
}

const learning = (agent: RelayAgent) => agent.agent.context.learning;

const taskOf = (agent: RelayAgent, id: string): LearningTask | undefined =>
  learning(agent).task(id);

async function stopAll(t: Test, world: RelayWorld): Promise<void> {
  for (const agent of world.agents.values()) await agent.stop();
  await world.clock.advance(60_000);
  t.same(world.clock.waiting, [], "no timer is left behind");
}

t.test("three agents learn what none was told to coordinate", async (t) => {
  const { world, agents } = await fleet("three", ["east", "north", "west"]);
  const [east] = agents as [RelayAgent];
  const { task } = await world.settle(learning(east).start(SPEC));
  await world.until("all rounds", () =>
    agents.every((agent) => taskOf(agent, task)?.state === "finished"),
  );
  const hashes = new Set(agents.map((agent) => taskOf(agent, task)?.latest?.modelHash));
  t.equal(hashes.size, 1, "all have the same model");
  const rounds = learning(east).rounds(task, 0, 100) ?? [];
  t.same(
    rounds.map(({ round }) => round),
    [1, 2, 3, 4, 5, 6, 7, 8],
  );
  t.ok(
    rounds.every(({ updates, samples }) => samples === 60 * updates && updates >= 2),
    rounds.map(({ updates }) => updates).join(" "),
  );
  t.equal(
    rounds.at(-1)?.samplesTotal,
    rounds.reduce((sum, { samples }) => sum + samples, 0),
  );
  await world.clock.advance(5_000);
  const accuracy = taskOf(east, task)?.latest?.evaluation?.accuracy ?? 0;
  t.comment(`accuracy ${accuracy}`);
  t.ok(accuracy > 0.8, `${accuracy} of what was kept back`);
  await stopAll(t, world);
});
