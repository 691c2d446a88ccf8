// Agents whose networks have nothing in common but their classes, as agents are composed, in virtual time: each sees half of the classes.
import t, { type Test } from "tap";
import { blobs } from "../../src/federated/data/blobs.ts";
import { type Dataset, pick } from "../../src/federated/data/dataset.ts";
import type { LearningTask } from "../../src/federated/view.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { type RelayAgent, RelayWorld } from "../support/relay-world.ts";

t.setTimeout(400_000);

const FEATURES = 8;
const CLASSES = 4;
const PUBLIC = 120;
const NAMES = ["east", "north", "south", "west"] as const;
const ALL = blobs(
  { features: FEATURES, classes: CLASSES, train: 480, test: 200, spread: 0.8 },
  new SeededRandom("all"),
);

/** What everybody has: the agents never see the classes of these. */
const publicSet = (from = 0): Dataset => {
  const places = Array.from({ length: PUBLIC }, (_, at) => from + at);
  return { ...ALL, train: pick(ALL.train, places) };
};

/** Two of the four classes; judged by all of them. */
function half(agent: number): Dataset {
  const { targets, count } = ALL.train;
  const places = Array.from({ length: count - PUBLIC }, (_, at) => PUBLIC + at).filter(
    (place) => targets[place] === agent || targets[place] === (agent + 1) % CLASSES,
  );
  return { ...ALL, train: pick(ALL.train, places) };
}

/** Of all classes, other samples than the others have. */
function quarter(agent: number): Dataset {
  const places = Array.from({ length: 60 }, (_, at) => PUBLIC + 4 * at + agent);
  return { ...ALL, train: pick(ALL.train, places) };
}

const LARGE = [
  { kind: "dense", units: 24, activation: "relu" },
  { kind: "dense", units: CLASSES },
];
const SMALL = [
  { kind: "dense", units: 6, activation: "tanh" },
  { kind: "dense", units: CLASSES },
];

const task = (transfer: object, more: object = {}) => ({
  name: "halves",
  model: { inputShape: [FEATURES], layers: LARGE, loss: "softmax-cross-entropy" },
  data: { kind: "dataset", name: "own" },
  client: { kind: "local", learningRate: 0.05 },
  teaching: {
    architectures: { small: { layers: SMALL } },
    transfer,
    epochs: 4,
    batchSize: 20,
    learningRate: 0.05,
  },
  rounds: 8,
  pace: { agentsMin: 3, deadlineMs: 60_000, takeoverMs: 5_000 },
  ...more,
});

async function fleet(
  seed: string,
  publicOf: (agent: number) => Dataset | undefined,
  ownOf: (agent: number) => Dataset = half,
) {
  const world = new RelayWorld(seed);
  const agents = NAMES.map((name, at) => {
    const sets = ["consensus.enabled=true", "learning.enabled=true"];
    const agent = world.agent(name, [], at < 2 ? [...sets, "learning.architecture=small"] : sets);
    agent.datasets.set("own", ownOf(at));
    const shared = publicOf(at);
    if (shared !== undefined) agent.datasets.set("public", shared);
    return agent;
  });
  for (const [at, agent] of agents.entries()) await agent.start(...agents.slice(0, at));
  await world.until("a committee", () =>
    agents.every((agent) => agent.agent.context.consensus.status().committee !== undefined),
  );
  return { world, agents };
}

const learning = (agent: RelayAgent) => agent.agent.context.learning;

async function learned(world: RelayWorld, agents: readonly RelayAgent[], asked: object) {
  const begun = await world.settle(learning(agents[0]!).start(asked));
  const isJudged = (shown: LearningTask | undefined): boolean =>
    shown?.state === "finished" && shown.latest?.evaluation !== undefined;
  await world.until("all to have learned and been judged", () =>
    agents.every((agent) => isJudged(learning(agent).task(begun.task))),
  );
  return begun.task;
}

const accuracyOf = (agent: RelayAgent, id: string): number =>
  learning(agent).task(id)?.latest?.evaluation?.accuracy ?? 0;

async function stopAll(t: Test, world: RelayWorld): Promise<void> {
  for (const agent of world.agents.values()) await agent.stop();
  await world.clock.advance(60_000);
  t.same(world.clock.waiting, [], "no timer is left behind");
}

t.test("small and large networks teach each other the classes they never saw", async (t) => {
  const { world, agents } = await fleet("teaching", () => publicSet());
  const asked = task({ kind: "dataset", name: "public", count: PUBLIC });
  const id = await learned(world, agents, asked);
  const { spec, latest } = learning(agents[0]!).task(id) ?? {};
  t.match(spec?.teaching?.transfer, { sha256: /^[0-9a-f]{64}$/ }, "which samples is in the task");
  t.equal(latest?.ownEvaluation, undefined, "there is no other model to tell it from");
  for (const [at, agent] of agents.entries()) {
    const accuracy = accuracyOf(agent, id);
    t.equal(learning(agent).task(id)?.network, at < 2 ? "small" : "model");
    // Whoever knows but two of four classes is right in half of all cases at best.
    t.ok(accuracy > 0.8, `${NAMES[at]}, ${at < 2 ? "small" : "large"}: ${accuracy}`);
  }
  const [first] = agents;
  const rows = [Array.from(ALL.test.features.subarray(0, FEATURES))];
  const predicted = await world.settle(learning(first!).predict(id, rows));
  t.match(predicted, { model: "own", round: 8 });
  t.equal(predicted.outputs[0]?.length, CLASSES);
  await t.rejects(world.settle(learning(first!).predict(id, rows, "global")), {
    code: "learning.no-model",
    message: /no global model/,
  });
  const before = predicted.outputs;
  await first!.stop();
  await first!.start(...agents.slice(1));
  await world.until("it to be back", () => learning(first!).task(id)?.activity === "resting");
  const again = await world.settle(learning(first!).predict(id, rows));
  t.same(again.outputs, before, "what it has learned outlasts a restart");
  await stopAll(t, world);
});

t.test("a robust rule holds against one that answers nonsense", async (t) => {
  const { world, agents } = await fleet("nonsense", () => publicSet(), quarter);
  const liar = quarter(3);
  const wrong = liar.train.targets.map((target) => (target + 1) % CLASSES);
  agents[3]!.datasets.set("own", { ...liar, train: { ...liar.train, targets: wrong } });
  await agents[3]!.stop();
  await agents[3]!.start(...agents.slice(0, 3));
  const strategy = { rule: { kind: "median" } };
  const asked = task({ kind: "dataset", name: "public", count: PUBLIC }, { strategy });
  const id = await learned(world, agents, asked);
  for (const [at, agent] of agents.slice(0, 3).entries())
    t.ok(accuracyOf(agent, id) > 0.8, `${NAMES[at]}: ${accuracyOf(agent, id)}`);
  await stopAll(t, world);
});

t.test("whoever can not answer on the same says why, and the others go on", async (t) => {
  const { world, agents } = await fleet("strangers", (at) =>
    at === 3 ? undefined : publicSet(at === 2 ? 1 : 0),
  );
  const asked = task(
    { kind: "dataset", name: "public", count: PUBLIC },
    { pace: { agentsMin: 2, deadlineMs: 60_000, takeoverMs: 5_000 } },
  );
  const id = await learned(world, agents.slice(0, 2), asked);
  t.match(learning(agents[2]!).task(id), { because: /SHA-256/, samples: 0 });
  t.match(learning(agents[3]!).task(id), { because: /learning.datasets has no public/ });
  await t.rejects(world.settle(learning(agents[3]!).start({ ...asked, name: "other" })), {
    code: "learning.spec",
    message: /learning.datasets has no public/,
  });
  await stopAll(t, world);
});

t.test("without public samples they answer on generated ones", async (t) => {
  const { world, agents } = await fleet("generated", () => undefined);
  const asked = task({ kind: "generated", count: 400, mean: 0, deviation: 1.5 });
  const id = await learned(world, agents, asked);
  for (const [at, agent] of agents.entries())
    t.ok(accuracyOf(agent, id) > 0.8, `${NAMES[at]}: ${accuracyOf(agent, id)}`);
  await stopAll(t, world);
});
