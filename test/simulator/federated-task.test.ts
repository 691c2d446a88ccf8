// Programs that embed agents: what they bring to what the fleet learns, in virtual time.
import t, { type Test } from "tap";
import { KrumAggregation } from "../../src/embedding/aggregations.ts";
import { EmbeddedAgent } from "../../src/embedding/embedded-agent.ts";
import { FederatedTask } from "../../src/embedding/federated-task.ts";
import type { ProgramDataset } from "../../src/embedding/program-samples.ts";
import type { TaskDefinition } from "../../src/embedding/task-definition.ts";
import { blobs } from "../../src/federated/data/blobs.ts";
import type { CustomAggregation } from "../../src/federated/strategies/custom-rules.ts";
import type { LearningRound, LearningTask } from "../../src/federated/view.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { leastSquares, type Points } from "../support/learning/least-squares.ts";
import { type RelayAgent, RelayWorld } from "../support/relay-world.ts";

t.setTimeout(400_000);

const FEATURES = 6;
const BASE = ["consensus.enabled=true", "learning.enabled=true"];

/** Samples of the same clouds, each agent's own ones, as a program has them. */
function clouds(name: string): ProgramDataset {
  const { train } = blobs(
    { features: FEATURES, classes: 3, train: 100, test: 1, spread: 0.7 },
    new SeededRandom("clouds"),
  );
  const own = new SeededRandom(name);
  return {
    features: train.features.map((value) => value + 0.3 * (own.next() - 0.5)),
    labels: train.targets,
  };
}

const definition = (name: string, more: Partial<TaskDefinition> = {}): TaskDefinition => ({
  name: "clouds",
  modelFn: () => ({
    inputShape: [FEATURES],
    layers: [
      { kind: "dense", units: 12, activation: "relu" },
      { kind: "dense", units: 3 },
    ],
    loss: "softmax-cross-entropy",
  }),
  datasetFn: () => clouds(name),
  rounds: 6,
  client: { epochs: 2, learningRate: 0.1 },
  pace: { agentsMin: 2, deadlineMs: 20_000, takeoverMs: 5_000 },
  ...more,
});

async function fleet(seed: string, names: readonly string[]) {
  const world = new RelayWorld(seed);
  const agents = names.map((name) => world.agent(name, [], BASE));
  for (const [at, agent] of agents.entries()) await agent.start(...agents.slice(0, at));
  await world.until("a committee", () =>
    agents.every((agent) => agent.agent.context.consensus.status().committee !== undefined),
  );
  return { world, agents, embedded: agents.map((agent) => new EmbeddedAgent(agent.agent)) };
}

async function stopAll(t: Test, world: RelayWorld): Promise<void> {
  for (const agent of world.agents.values()) await agent.stop();
  await world.clock.advance(60_000);
  t.same(world.clock.waiting, [], "no timer is left behind");
}

const tasksAt = (agent: RelayAgent): readonly LearningTask[] =>
  agent.agent.context.learning.tasks();

async function all(task: FederatedTask): Promise<LearningRound[]> {
  const rounds: LearningRound[] = [];
  for await (const round of task.rounds()) rounds.push(round);
  return rounds;
}

t.test("programs that start the same task at once come together on one of them", async (t) => {
  const { world, agents, embedded } = await fleet("together", ["east", "north", "west"]);
  const tasks = agents.map(({ id }) => new FederatedTask(definition(id)));
  const attached = tasks.map((task, at) => embedded[at]!.attachTask(task, { lookMs: 0 }));
  await world.settle(Promise.all(attached));
  const heard = tasks.map(all);
  const rounds = await world.settle(Promise.all(heard.map(async (each) => (await each).at(-1))));
  t.same(
    rounds.map((round) => round?.round),
    [6, 6, 6],
  );
  t.equal(new Set(tasks.map(({ status }) => status?.task)).size, 1, "one task");
  t.equal(new Set(rounds.map((round) => round?.modelHash)).size, 1, "one model");
  t.ok((rounds[0]?.evaluation?.accuracy ?? 0) > 0.8, "judged by every fifth sample");
  t.equal(tasks[0]?.status?.samples, 80);
  for (const agent of agents) {
    const states = tasksAt(agent).map(({ state }) => state);
    t.same(states.filter((state) => state !== "stopped").length, 1, states.join());
  }
  const [task] = tasks as [FederatedTask];
  const { features, labels } = clouds("east");
  const rows = Array.from({ length: 100 }, (_, at) =>
    (features as Float32Array).subarray(at * FEATURES, (at + 1) * FEATURES),
  );
  const { classes, model, round } = await world.settle(task.predict(rows));
  t.match({ model, round }, { model: "global", round: 6 });
  const right = classes!.filter((each, at) => each === labels[at]).length;
  t.ok(right > 80, `${right} of 100`);
  await t.rejects(world.settle(task.predict([[1, 2]])), { code: "learning.spec" });
  await stopAll(t, world);
});

t.test("a program takes part in what others started, by its name", async (t) => {
  const { world, agents, embedded } = await fleet("by-name", ["east", "north", "west"]);
  const [east, north, west] = embedded as [EmbeddedAgent, EmbeddedAgent, EmbeddedAgent];
  const first = new FederatedTask(
    definition("east", { rounds: 1_000, aggregation: new KrumAggregation({ f: 0, select: 2 }) }),
  );
  await world.settle(east.attachTask(first, { lookMs: 0 }));
  const heard = all(first);
  await world.until("all to know", () => agents.every((agent) => tasksAt(agent).length === 1));
  await world.clock.advance(5_000);
  const [seen] = tasksAt(agents[1]!);
  t.match(seen, { activity: "no-data", because: /learning.datasets has no clouds here/ });
  let asked = 0;
  const seconds = [north, west].map((agent) => ({
    agent,
    task: new FederatedTask({
      name: "clouds",
      refresh: "each-round",
      datasetFn: ({ agentId, spec }) => {
        asked++;
        t.equal(spec.model.inputShape[0], FEATURES);
        return clouds(agentId);
      },
    }),
  }));
  for (const { agent, task } of seconds) await world.settle(agent.attachTask(task));
  await world.until("rounds", () => (seconds[0]!.task.status?.round ?? 0) >= 5);
  t.equal(seconds[0]?.task.status?.task, first.status?.task);
  t.equal(seconds[0]?.task.status?.samples, 80);
  t.ok(asked >= 6, `samples were asked for ${asked} times`);
  await t.rejects(world.settle(seconds[0]!.task.pause()), { code: "learning.not-the-author" });
  // Without its program an agent trains no more.
  north.detachTask(seconds[0]!.task);
  await world.until("it to be joined anew", () => tasksAt(agents[1]!)[0]?.activity === "no-data");
  await t.rejects(seconds[0]!.task.predict([[1]]), { message: /attachTask/ });
  await world.settle(first.stop());
  t.ok((await world.settle(heard)).length >= 5, "rounds end with the task");
  await stopAll(t, world);
});

/** The mean of what is left when each coordinate's largest is taken out. */
const withoutLargest = (version = "1", options?: { keep: number }): CustomAggregation => ({
  name: "without-largest",
  version,
  ...(options !== undefined && { options }),
  aggregate: (updates) =>
    Float32Array.from(updates[0]!, (_, at) => {
      const values = updates.map((update) => update[at] ?? 0).sort((a, b) => a - b);
      const kept = values.slice(0, Math.max(1, values.length - 1));
      return kept.reduce((sum, value) => sum + value, 0) / kept.length;
    }),
});

t.test(
  "a rule of the program's own: who lacks it trains, and leaves the rest to others",
  async (t) => {
    const { world, agents, embedded } = await fleet("custom", ["east", "north", "west"]);
    const [east, north, west] = embedded as [EmbeddedAgent, EmbeddedAgent, EmbeddedAgent];
    const tasks = ["east", "north"].map(
      (name) =>
        new FederatedTask(definition(name, { aggregation: withoutLargest("1", { keep: 1 }) })),
    );
    await world.settle(east.attachTask(tasks[0]!, { lookMs: 0 }));
    await world.settle(north.attachTask(tasks[1]!));
    await world.until("it to be known", () => tasksAt(agents[2]!).length === 1);
    for (const [other, says] of [
      [withoutLargest("2", { keep: 1 }), /wants version 1 of the rule without-largest, here is 2/],
      [withoutLargest("1"), /with \{"keep":1\}, here it is with \{\}/],
      ["median", /./],
    ] as const) {
      const wrong = new FederatedTask(definition("west", { aggregation: other }));
      const attached = world.settle(west.attachTask(wrong));
      if (other === "median") {
        // A program that means a built-in rule goes by what the fleet's task says.
        await t.rejects(attached, {
          code: "learning.spec",
          message: /without-largest is not here/,
        });
      } else await t.rejects(attached, { code: "learning.spec", message: says });
    }
    const follower = new FederatedTask({ name: "clouds", datasetFn: () => clouds("west") });
    await world.settle(west.attachTask(follower));
    const rounds = await world.settle(all(tasks[0]!));
    t.equal(rounds.at(-1)?.round, 6);
    t.ok((rounds.at(-1)?.evaluation?.accuracy ?? 0) > 0.8);
    await world.until("all to know", () => follower.status?.state === "finished");
    t.match(follower.status?.because, /the rule without-largest is not here/);
    t.ok(rounds.every(({ aggregator }) => aggregator.agentId !== "west"));
    t.equal(follower.status?.samples, 80, "it trains all the same");
    await stopAll(t, world);
  },
);

t.test("what a program does wrong is told in words", async (t) => {
  const { world, agents, embedded } = await fleet("wrong", ["east", "north", "west"]);
  const [east, north] = embedded as [EmbeddedAgent, EmbeddedAgent];
  const spec = (more: Partial<TaskDefinition>) => new FederatedTask(definition("east", more));
  await t.rejects(east.attachTask(spec({ name: "Clouds" })), { code: "learning.spec" });
  await t.rejects(east.attachTask(spec({ rounds: 0 })), { code: "learning.spec" });
  await t.rejects(east.attachTask(spec({ aggregation: { rule: { kind: "meridian" } } })), {
    code: "learning.spec",
  });
  await t.rejects(spec({}).rounds().next(), { code: "learning.unknown-task" });
  const cases: [ProgramDataset | Error | undefined, RegExp][] = [
    [new Error("the sensor is unplugged"), /samples of wrong-0 failed: the sensor is unplugged/],
    [undefined, /datasetFn gave nothing/],
    [{ features: [[1, 2]], labels: [0] }, /row 0 has 2 values, the model takes 6/],
    [{ features: [1, 2, 3, 4, 5], labels: [0] }, /5 values are no whole number of samples of 6/],
    [{ features: [], labels: [] }, /has no samples to train on/],
    [{ features: [1, 2, 3, 4, 5, 6], labels: [3] }, /class 3; the model has 3 outputs/],
    [{ features: [1, 2, 3, 4, 5, 6], labels: [0.5] }, /class 0.5/],
    [{ features: [1, 2, 3, 4, 5, 6], labels: [0, 1] }, /1 samples have 1 targets, not 2/],
    [{ features: [1, 2, Number.NaN, 4, 5, 6], labels: [0] }, /sample 0 has the value NaN/],
  ];
  for (const [at, [given, says]] of cases.entries()) {
    const name = `wrong-${at}`;
    const task = spec({
      name,
      datasetFn: () => {
        if (given instanceof Error) throw given;
        return given as ProgramDataset;
      },
    });
    await world.settle(east.attachTask(task, { lookMs: 0 }));
    await world.until("it to be joined", () => task.status?.activity !== "following");
    t.match(task.status, { activity: "no-data", because: says }, String(says));
    await world.settle(task.stop());
    east.detachTask(task);
  }
  const good = spec({ rounds: 1_000 });
  await world.settle(east.attachTask(good, { lookMs: 0 }));
  await t.rejects(north.attachTask(good), { code: "learning.busy" });
  await t.rejects(
    east.attachTask(
      new FederatedTask({ name: "other", dataName: "clouds", datasetFn: () => clouds("x") }),
    ),
    {
      code: "data.setting",
      message: /offered already/,
    },
  );
  await world.until("it to be known", () =>
    tasksAt(agents[1]!).some(({ spec }) => spec.name === "clouds"),
  );
  const other = new FederatedTask(
    definition("north", {
      modelFn: () => ({
        inputShape: [FEATURES],
        layers: [{ kind: "dense", units: 3 }],
        loss: "softmax-cross-entropy",
      }),
    }),
  );
  await t.rejects(world.settle(north.attachTask(other)), {
    code: "learning.spec",
    message: /the task clouds that east started has another model/,
  });
  const off = world.agent("off", [], []);
  await off.start();
  await t.rejects(new EmbeddedAgent(off.agent).attachTask(spec({})), { code: "learning.off" });
  await stopAll(t, world);
});

t.test("samples without classes, and rounds that wait for a signal", async (t) => {
  const { world, embedded } = await fleet("line", ["east", "north", "west"]);
  const [east, north] = embedded as [EmbeddedAgent, EmbeddedAgent];
  const line = (seed: string): ProgramDataset => {
    const random = new SeededRandom(seed);
    const features = Array.from({ length: 60 }, () => [random.next(), random.next()]);
    const labels = features.map(([x = 0, y = 0]) => 2 * x - y);
    return { features, labels, test: { features: [[1, 1]], labels: [1] } };
  };
  const tasks = ["east", "north"].map(
    (name) =>
      new FederatedTask({
        name: "line",
        modelFn: () => ({
          inputShape: [2],
          layers: [{ kind: "dense", units: 1 }],
          loss: "mean-squared-error",
        }),
        datasetFn: () => line(name),
        aggregation: "median",
        rounds: 1_000,
        client: { epochs: 4, learningRate: 0.2 },
        pace: { agentsMin: 2, deadlineMs: 20_000 },
      }),
  );
  await world.settle(east.attachTask(tasks[0]!, { lookMs: 0 }));
  await world.settle(north.attachTask(tasks[1]!));
  const ending = new AbortController();
  const losses: number[] = [];
  const heard = (async () => {
    for await (const { round, evaluation } of tasks[1]!.rounds({
      after: 2,
      signal: ending.signal,
    })) {
      t.ok(round > 2);
      losses.push(evaluation?.loss ?? Number.NaN);
      if (losses.length === 8) ending.abort();
    }
  })();
  await world.settle(heard);
  t.ok(losses.at(-1)! < 0.01, losses.join(" "));
  const { outputs, classes } = await world.settle(tasks[1]!.predict([Float32Array.of(0.5, 0.25)]));
  t.ok(Math.abs((outputs[0]?.[0] ?? 0) - 0.75) < 0.1, String(outputs));
  t.equal(classes, undefined);
  await stopAll(t, world);
});

t.test(
  "agents that see different things find what is best for all, one killed on the way",
  async (t) => {
    const { world, agents, embedded } = await fleet("drift", ["east", "north", "west"]);
    const seen: Record<string, Points> = {
      east: { x: [-1, 0, 1], y: [0, 0, 0] },
      north: { x: [1, 2, 3], y: [1, 4, 4] },
      west: { x: [-3, -2, 2], y: [5, 3, 9] },
    };
    const ROUNDS = 150;
    const taskOf = (name: string) =>
      new FederatedTask({
        name: "drift",
        modelFn: () => ({
          inputShape: [1],
          layers: [{ kind: "dense", units: 1 }],
          loss: "mean-squared-error",
        }),
        // All of it is trained on.
        datasetFn: () => {
          const { x: features, y: labels } = seen[name]!;
          return { features, labels, test: { features: [0], labels: [0] } };
        },
        client: { epochs: 5, batchSize: 3, learningRate: 0.05, scaffold: true },
        rounds: ROUNDS,
        pace: { agentsMin: 3, deadlineMs: 20_000, takeoverMs: 5_000 },
      });
    const tasks = agents.map(({ id }) => taskOf(id));
    for (const [at, task] of tasks.entries())
      await world.settle(embedded[at]!.attachTask(task, { lookMs: at === 0 ? 0 : 20_000 }));
    await world.until("rounds", () => (tasks[0]!.status?.round ?? 0) >= 20, 600_000);
    const north = agents[1]!;
    north.crash();
    await world.clock.advance(10_000);
    await north.start(agents[0]!);
    const again = taskOf("north");
    await world.settle(new EmbeddedAgent(north.agent).attachTask(again));
    await world.until("the last round", () => again.status?.round === ROUNDS, 3_600_000);
    const { slope, intercept } = leastSquares(Object.values(seen));
    const { outputs } = await world.settle(tasks[2]!.predict([[10]]));
    const best = intercept + 10 * slope;
    const learned = outputs[0]![0]!;
    t.ok(Math.abs(learned - best) < 1e-3, `${learned}, least squares say ${best}`);
    await stopAll(t, world);
  },
);
