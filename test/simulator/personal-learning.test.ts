// Models of one's own beside the fleet's, as agents are composed, in virtual time: each agent's samples are labelled its own way.
import t, { type Test } from "tap";
import { blobs } from "../../src/federated/data/blobs.ts";
import type { Dataset } from "../../src/federated/data/dataset.ts";
import type { LearningRound, LearningTask } from "../../src/federated/view.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { type RelayAgent, RelayWorld } from "../support/relay-world.ts";

t.setTimeout(400_000);

const FEATURES = 8;
const NAMES = ["east", "north", "west"] as const;
const LAYERS = [
  { kind: "dense", units: 16, activation: "relu" },
  { kind: "dense", units: 4 },
];

/** What an agent calls a class: two of the four have another name at each. */
const labelAt = (agent: number, label: number): number =>
  label === agent ? agent + 1 : label === agent + 1 ? agent : label;

/** What a sensor shows: each agent's has a gain and an offset of its own. */
const shownAt = (agent: number, value: number): number => value * (1 + 2 * agent) + 3 * agent;

function dataset(agent: number, skew: "labels" | "sensors"): Dataset {
  const whole = blobs(
    { features: FEATURES, classes: 4, train: 80, test: 80, spread: 0.8 },
    new SeededRandom("own"),
  );
  const own = new SeededRandom(`own/${agent}`);
  const skewed = ({ features, targets, ...rest }: Dataset["train"]) => ({
    ...rest,
    features: features.map((value) => {
      const noisy = value + 0.3 * (own.next() - 0.5);
      return skew === "sensors" ? shownAt(agent, noisy) : noisy;
    }),
    targets: skew === "labels" ? targets.map((label) => labelAt(agent, label)) : targets,
  });
  return { ...whole, train: skewed(whole.train), test: skewed(whole.test) };
}

async function fleet(seed: string, skew: "labels" | "sensors", gatherMs = 1_000) {
  const world = new RelayWorld(seed);
  const agents = NAMES.map((name, at) => {
    const sets = ["consensus.enabled=true", "learning.enabled=true"];
    const agent = world.agent(name, [], [...sets, `learning.gatherMs=${gatherMs}`]);
    agent.datasets.set("own", dataset(at, skew));
    return agent;
  });
  for (const [at, agent] of agents.entries()) await agent.start(...agents.slice(0, at));
  await world.until("a committee", () =>
    agents.every((agent) => agent.agent.context.consensus.status().committee !== undefined),
  );
  return { world, agents };
}

const spec = (personalization: object, layers: readonly object[] = LAYERS, rounds = 8) => ({
  name: "own",
  model: { inputShape: [FEATURES], layers, loss: "softmax-cross-entropy" },
  data: { kind: "dataset", name: "own" },
  client: { kind: "local", learningRate: 0.1, epochs: 2 },
  personalization,
  rounds,
  pace: { agentsMin: 3, deadlineMs: 60_000, takeoverMs: 5_000 },
});

const learning = (agent: RelayAgent) => agent.agent.context.learning;
const taskOf = (agent: RelayAgent, task: string): LearningTask | undefined =>
  learning(agent).task(task);

async function stopAll(t: Test, world: RelayWorld): Promise<void> {
  for (const agent of world.agents.values()) await agent.stop();
  await world.clock.advance(60_000);
  t.same(world.clock.waiting, [], "no timer is left behind");
}

/** Learns to the end. @returns the task, and its last round at each agent with both models judged */
async function learned(world: RelayWorld, agents: readonly RelayAgent[], asked: object) {
  const { task } = await world.settle(learning(agents[0]!).start(asked));
  await world.until("all rounds", () =>
    agents.every((agent) => taskOf(agent, task)?.state === "finished"),
  );
  await world.until("all models to be judged", () =>
    agents.every((agent) => {
      const { evaluation, ownEvaluation } = taskOf(agent, task)?.latest ?? {};
      return evaluation !== undefined && ownEvaluation !== undefined;
    }),
  );
  const last = agents.map((agent) => taskOf(agent, task)!.latest!);
  return { task, last };
}

const shares = ({ evaluation, ownEvaluation }: LearningRound) => ({
  global: evaluation?.accuracy ?? 0,
  own: ownEvaluation?.accuracy ?? 0,
});

for (const personalization of [
  { kind: "fine-tune", epochs: 5, learningRate: 0.1 },
  { kind: "ditto", lambda: 0.05, epochs: 3, learningRate: 0.1 },
  { kind: "per-fed-avg", innerLearningRate: 0.05, epochs: 5, learningRate: 0.1 },
])
  t.test(`${personalization.kind}: own models beat the fleet's at each agent`, async (t) => {
    const { world, agents } = await fleet(personalization.kind, "labels");
    const { last } = await learned(world, agents, spec(personalization));
    for (const [at, round] of last.entries()) {
      const { global, own } = shares(round);
      t.comment(`${NAMES[at]}: global ${global}, own ${own}`);
      t.ok(own > global + 0.1, `${own} of ${NAMES[at]}'s is above ${global}`);
      t.ok(own > 0.85, `${own}`);
    }
    t.equal(new Set(last.map(({ modelHash }) => modelHash)).size, 1, "one global model");
    await stopAll(t, world);
  });

t.test("fed-bn: normalisation stays at each agent, and the fleet's model without it", async (t) => {
  const { world, agents } = await fleet("fed-bn", "sensors");
  const layers = [{ kind: "batch-norm", momentum: 0.9 }, ...LAYERS];
  const { task, last } = await learned(world, agents, spec({ kind: "fed-bn" }, layers, 12));
  for (const [at, round] of last.entries()) {
    const { global, own } = shares(round);
    t.comment(`${NAMES[at]}: global ${global}, own ${own}`);
    t.ok(own > global, `${own} of ${NAMES[at]}'s is above ${global}`);
    t.ok(own > 0.9, `${own}`);
  }
  const rows = [Array.from({ length: FEATURES }, () => 1)];
  const said = await Promise.all(
    agents.map((agent) => world.settle(learning(agent).predict(task, rows, "global"))),
  );
  t.equal(new Set(said.map(({ outputs }) => outputs.join())).size, 1, "the fleet's is one");
  const own = await Promise.all(
    agents.map((agent) => world.settle(learning(agent).predict(task, rows, "own"))),
  );
  t.equal(new Set(own.map(({ outputs }) => outputs.join())).size, 3, "own ones are not");
  await stopAll(t, world);
});

t.test("the task says which model answers; a restart keeps the own one", async (t) => {
  const { world, agents } = await fleet("kept", "labels");
  const [east] = agents as [RelayAgent];
  const ditto = { kind: "ditto", lambda: 0.05, epochs: 3, learningRate: 0.1 };
  const { task } = await learned(world, agents, spec(ditto, LAYERS, 4));
  const { features } = dataset(0, "labels").test;
  const rows = Array.from({ length: 20 }, (_, at) => [
    ...features.subarray(at * FEATURES, (at + 1) * FEATURES),
  ]);
  const before = await world.settle(learning(east).predict(task, rows));
  t.match(before, { model: "own", round: 4 });
  const global = await world.settle(learning(east).predict(task, rows, "global"));
  t.equal(global.model, "global");
  t.not(before.outputs.join(), global.outputs.join());
  for (const agent of agents) await agent.stop();
  for (const [at, agent] of agents.entries()) await agent.start(...agents.slice(0, at));
  // It can be run as soon as the task is joined, and it is not trained anew.
  await world.until("the task to be joined", () => taskOf(east, task)?.activity === "resting");
  const after = await world.settle(learning(east).predict(task, rows));
  t.same(after, before);
  await stopAll(t, world);
});

t.test("five minutes after an own model was made it survives a crash", async (t) => {
  const { world, agents } = await fleet("crash", "labels");
  const [east] = agents as [RelayAgent];
  const ditto = { kind: "ditto", lambda: 0.05, epochs: 3, learningRate: 0.1 };
  const { task } = await learned(world, agents, spec(ditto, LAYERS, 4));
  const before = await world.settle(learning(east).predict(task, [[1, 1, 1, 1, 1, 1, 1, 1]]));
  await world.clock.advance(310_000);
  east.crash();
  await east.start(...agents.slice(1));
  await world.until("the task to be joined", () => taskOf(east, task)?.activity === "resting");
  const after = await world.settle(learning(east).predict(task, [[1, 1, 1, 1, 1, 1, 1, 1]]));
  t.same(after, before);
  await stopAll(t, world);
});

t.test("an own model rests while the power policy wants it, and catches up", async (t) => {
  const { world, agents } = await fleet("held", "labels", 15_000);
  const [east, , west] = agents as [RelayAgent, RelayAgent, RelayAgent];
  const asked = spec({ kind: "ditto", epochs: 3, learningRate: 0.1 }, LAYERS, 1_000);
  const pace = { ...asked.pace, agentsMin: 2, deadlineMs: 20_000 };
  const { task } = await world.settle(learning(east).start({ ...asked, pace }));
  const own = (agent: RelayAgent, after: number) =>
    learning(agent)
      .rounds(task, after, 1_000)
      ?.filter(({ ownEvaluation }) => ownEvaluation !== undefined).length ?? 0;
  await world.until("own models", () => own(west, 0) >= 2);
  west.body.device.battery = { chargePercent: 15, charging: false };
  await world.until("it to be held", () => taskOf(west, task)?.activity === "held");
  const at = taskOf(west, task)!.round;
  await world.until("the others to go on", () => taskOf(west, task)!.round >= at + 4);
  t.equal(own(west, at), 0, "nothing is trained");
  t.ok(own(east, at) > 0, "while others train");
  west.body.device.battery = { chargePercent: 90, charging: true };
  await world.until("it to catch up", () => own(west, at) > 0);
  await stopAll(t, world);
});

t.test("a task without personalization has no own model", async (t) => {
  const { world, agents } = await fleet("none", "labels");
  const [east] = agents as [RelayAgent];
  const { personalization: _, ...plain } = spec({}, LAYERS, 1);
  const { task } = await world.settle(learning(east).start(plain));
  await world.until("its round", () => taskOf(east, task)?.state === "finished");
  const rows = [[1, 1, 1, 1, 1, 1, 1, 1]];
  t.match(await world.settle(learning(east).predict(task, rows)), { model: "global" });
  await t.rejects(world.settle(learning(east).predict(task, rows, "own")), {
    code: "learning.no-model",
    message: /personalization/,
  });
  await t.rejects(world.settle(learning(east).start(spec({ kind: "fed-bn" }))), {
    code: "learning.spec",
    message: /batch-norm layer/,
  });
  await t.rejects(world.settle(learning(east).start(spec({ kind: "dito" }))), {
    code: "learning.spec",
  });
  await stopAll(t, world);
});

t.test("what streams are judged by is the own model, where the task says so", async (t) => {
  const world = new RelayWorld("streams");
  const agents = NAMES.map((name) => {
    const sets = ["consensus.enabled=true", "learning.enabled=true", "learning.gatherMs=5000"];
    return world.agent(name, [], sets);
  });
  for (const [at, agent] of agents.entries()) await agent.start(...agents.slice(0, at));
  await world.until("a committee", () =>
    agents.every((agent) => agent.agent.context.consensus.status().committee !== undefined),
  );
  // Each machine hums at its own pace.
  let step = 0;
  const run = async (): Promise<void> => {
    for (const [at, { body }] of agents.entries()) {
      const value = Math.sin(step / (1 + at));
      void body.broker.receive("sensors/press/hum", Buffer.from(value.toFixed(4)));
    }
    step++;
    await world.clock.advance(1_000);
  };
  for (let filled = 0; filled < 60; filled++) await run();
  const asked = {
    name: "hum",
    model: {
      inputShape: [8, 1],
      layers: [
        { kind: "flatten" },
        { kind: "dense", units: 4, activation: "tanh" },
        { kind: "dense", units: 8 },
      ],
      loss: "mean-squared-error",
    },
    data: {
      kind: "streams",
      channels: [{ name: "hum", topic: "sensors/+/hum" }],
      everyMs: 1_000,
      windowLength: 8,
      gapMsMax: 5_000,
      fillMax: 1,
      historyMs: 300_000,
      samplesMax: 300,
      normalize: "none",
      goal: { kind: "reconstruct" },
    },
    client: { kind: "local", learningRate: 0.05, epochs: 2, batchSize: 16 },
    personalization: { kind: "ditto", lambda: 0.05, epochs: 3, learningRate: 0.05 },
    rounds: 6,
    pace: { agentsMin: 3, deadlineMs: 60_000, takeoverMs: 5_000 },
    serving: { canary: { shadowWindows: 4 } },
  };
  const { task } = await world.settle(learning(agents[0]!).start(asked));
  const served = (agent: RelayAgent) => learning(agent).serving.versions(task);
  for (let waited = 0; waited < 600; waited++) {
    if (agents.every((agent) => taskOf(agent, task)?.latest?.ownEvaluation !== undefined)) break;
    await run();
  }
  for (let more = 0; more < 60; more++) await run();
  const hashes = agents.map((agent) => served(agent).versions.map(({ hash }) => hash));
  t.ok(
    hashes.every(({ length }) => length > 0),
    "each serves",
  );
  const global = new Set(
    (learning(agents[0]!).rounds(task, 0, 100) ?? []).map(({ modelHash }) => modelHash),
  );
  t.notOk(
    hashes.flat().some((hash) => global.has(hash)),
    "none of the fleet's",
  );
  t.equal(new Set(hashes.flat()).size, hashes.flat().length, "and each its own");
  for (const agent of agents) {
    const { evaluation, ownEvaluation } = taskOf(agent, task)?.latest ?? {};
    t.comment(`${agent.id}: global ${evaluation?.loss}, own ${ownEvaluation?.loss}`);
    t.ok(ownEvaluation!.loss < evaluation!.loss, `${agent.id}'s own model fits better`);
  }
  await stopAll(t, world);
});
