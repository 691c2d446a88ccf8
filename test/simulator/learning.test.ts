// What a fleet learns, as its agents are composed, in virtual time: nobody coordinates, each trains on its own samples.
import t, { type Test } from "tap";
import { blobs } from "../../src/federated/data/blobs.ts";
import type { LearningTask } from "../../src/federated/view.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { type RelayAgent, RelayWorld } from "../support/relay-world.ts";

t.setTimeout(400_000);

const BASE = ["consensus.enabled=true", "learning.enabled=true"];
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

const roundOf = (agent: RelayAgent, task: string): number => taskOf(agent, task)?.round ?? 0;

t.test("two agents suffice, and all come back after a stop with what they had", async (t) => {
  const { world, agents } = await fleet("two", ["east", "west"], ["consensus.foundersMin=1"]);
  const [east, west] = agents as [RelayAgent, RelayAgent];
  const { task } = await world.settle(learning(east).start({ ...SPEC, rounds: 30 }));
  await world.until("some rounds", () => roundOf(west, task) >= 5);
  for (const agent of agents) await agent.stop();
  await east.start();
  await west.start(east);
  await world.until("the task to be known", () => taskOf(east, task) !== undefined);
  t.ok(roundOf(east, task) >= 5, "rounds are not forgotten");
  await world.until("all rounds", () =>
    agents.every((agent) => taskOf(agent, task)?.state === "finished"),
  );
  await stopAll(t, world);
});

t.test("one is killed and another comes while they learn", async (t) => {
  const { world, agents } = await fleet("churn", ["a", "b", "c", "d"]);
  const [a, b, c, d] = agents as [RelayAgent, RelayAgent, RelayAgent, RelayAgent];
  const spec = { ...SPEC, rounds: 40, pace: { ...SPEC.pace, deadlineMs: 5_000 } };
  const { task } = await world.settle(learning(b).start(spec));
  await world.until("some rounds", () => roundOf(d, task) >= 4);
  // Whoever put the last round together, so that the next candidate has to take over.
  const aggregator = taskOf(b, task)?.latest?.aggregator.agentId;
  const victim = agents.find(({ id }) => id === aggregator && id !== "b") ?? c;
  victim.crash();
  const others = agents.filter((agent) => agent !== victim);
  const at = Math.max(...others.map((agent) => roundOf(agent, task)));
  const sinceMs = world.clock.monotonicMs();
  await world.until("the others to go on", () =>
    others.every((agent) => roundOf(agent, task) >= at + 3),
  );
  t.comment(`${world.clock.monotonicMs() - sinceMs} ms for three rounds after ${victim.id} died`);
  const late = world.agent("late", [], BASE);
  late.datasets.set("blobs", dataset("late"));
  await late.start(...others);
  await victim.start(...others);
  await world.until("all rounds", () =>
    [a, b, c, d, late].every((agent) => taskOf(agent, task)?.state === "finished"),
  );
  const hashes = new Set([a, b, c, d, late].map((agent) => taskOf(agent, task)?.latest?.modelHash));
  t.equal(hashes.size, 1, "all have the same model");
  t.equal(taskOf(late, task)?.samples, 60, "the one that came trains too");
  await stopAll(t, world);
});

t.test("its author lets a task rest, go on, and end; nobody else can", async (t) => {
  const { world, agents } = await fleet("control", ["east", "north", "west"]);
  const [east, north] = agents as [RelayAgent, RelayAgent];
  const { task } = await world.settle(learning(east).start({ ...SPEC, rounds: 1_000 }));
  await world.until("some rounds", () => roundOf(north, task) >= 2);
  await t.rejects(world.settle(learning(north).control(task, "paused")), {
    code: "learning.not-the-author",
    message: /only east/,
  });
  await world.settle(learning(east).control(task, "paused"));
  await world.clock.advance(30_000);
  const rested = roundOf(north, task);
  await world.clock.advance(60_000);
  t.equal(roundOf(north, task), rested, "no rounds while it rests");
  t.match(taskOf(north, task), { state: "paused", activity: "held" });
  await world.settle(learning(east).control(task, "running"));
  await world.until("it to go on", () => roundOf(north, task) >= rested + 2);
  await world.settle(learning(east).control(task, "stopped"));
  await world.until("all to know", () =>
    agents.every((agent) => taskOf(agent, task)?.state === "stopped"),
  );
  await t.rejects(world.settle(learning(east).control(task, "running")), {
    code: "learning.ended",
  });
  await stopAll(t, world);
});

t.test(
  "who has no samples follows; who has to save power is held; both know the rounds",
  async (t) => {
    const { world, agents } = await fleet("unlike", ["a", "b", "c", "d"]);
    const [a, b, c, d] = agents as [RelayAgent, RelayAgent, RelayAgent, RelayAgent];
    d.datasets.clear();
    const { task } = await world.settle(learning(a).start({ ...SPEC, rounds: 1_000 }));
    await world.until("some rounds", () => roundOf(d, task) >= 2);
    t.match(taskOf(d, task), { activity: "no-data", because: /learning.datasets has no blobs/ });
    c.body.device.battery = { chargePercent: 15, charging: false };
    await world.until("it to be held", () => taskOf(c, task)?.activity === "held");
    const at = roundOf(c, task);
    await world.until("the others to go on", () => roundOf(c, task) >= at + 3);
    t.ok(taskOf(a, task)?.latest?.updates === 2, "without its updates");
    const { outputs, round } = await world.settle(
      learning(b).predict(task, [[...dataset("b").test.features.subarray(0, 10)]]),
    );
    t.equal(outputs[0]?.length, 4);
    t.ok(round >= at);
    await t.rejects(world.settle(learning(b).predict(task, [[1, 2]])), {
      code: "learning.spec",
      message: /2 values, the model takes 10/,
    });
    await stopAll(t, world);
  },
);

t.test("all lose their power at once, and go on with the newest model", async (t) => {
  const { world, agents } = await fleet("power", ["a", "b", "c"]);
  const spec = {
    ...SPEC,
    rounds: 60,
    strategy: { server: { kind: "fedadam", learningRate: 0.01 } },
  };
  const { task } = await world.settle(learning(agents[0]!).start(spec));
  for (let cut = 0; cut < 4; cut++) {
    const before = Math.max(...agents.map((agent) => roundOf(agent, task)));
    await world.until("some rounds", () =>
      agents.every((agent) => roundOf(agent, task) >= before + 3),
    );
    await world.clock.advance(137 * cut);
    for (const agent of agents) agent.crash();
    for (const [at, agent] of agents.entries()) await agent.start(...agents.slice(0, at));
    await world.until("the task to be known", () =>
      agents.every((agent) => roundOf(agent, task) >= before + 2),
    );
  }
  await world.until("all rounds", () =>
    agents.every((agent) => taskOf(agent, task)?.state === "finished"),
  );
  await stopAll(t, world);
});

t.test("a round is judged by its own model", async (t) => {
  const { world, agents } = await fleet("judged", ["east", "north", "west"]);
  const [east] = agents as [RelayAgent];
  const { task } = await world.settle(learning(east).start({ ...SPEC, rounds: 1 }));
  await world.until("it to be judged", () => taskOf(east, task)?.latest?.evaluation !== undefined);
  const { features, targets, count } = dataset("east").test;
  const rows = Array.from({ length: count }, (_, at) => [
    ...features.subarray(10 * at, 10 * at + 10),
  ]);
  const { outputs, round } = await world.settle(learning(east).predict(task, rows));
  t.equal(round, 1);
  const right = outputs.filter((row, at) => row.indexOf(Math.max(...row)) === targets[at]);
  t.equal(taskOf(east, task)?.latest?.evaluation?.accuracy, right.length / count);
  await stopAll(t, world);
});
