// From a sensor that publishes on MQTT to an alert on MQTT: composed agents in virtual time, nobody coordinates.
import t, { type Test } from "tap";
import { LearningError } from "../../src/federated/tasks/learning-error.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { type RelayAgent, RelayWorld } from "../support/relay-world.ts";

t.setTimeout(400_000);

const BASE = ["consensus.enabled=true", "learning.enabled=true"];
const STEP_MS = 1_000;
/** Steps of the wave that every sensor shows. */
const PERIOD = 24;
const spec = (data: object = {}, more: object = {}) => ({
  name: "press",
  model: {
    inputShape: [12, 1],
    layers: [
      { kind: "flatten" },
      { kind: "dense", units: 8, activation: "tanh" },
      { kind: "dense", units: 2 },
      { kind: "dense", units: 8, activation: "tanh" },
      { kind: "dense", units: 12 },
    ],
    loss: "mean-squared-error",
  },
  data: {
    kind: "streams",
    channels: [{ name: "temperature", topic: "sensors/+/temperature" }],
    everyMs: STEP_MS,
    windowLength: 12,
    gapMsMax: 5_000,
    fillMax: 1,
    historyMs: 600_000,
    samplesMax: 600,
    normalize: "federated",
    goal: { kind: "reconstruct" },
    ...data,
  },
  client: { kind: "local", learningRate: 0.05, momentum: 0.9, epochs: 3, batchSize: 16 },
  rounds: 12,
  pace: { agentsMin: 2, deadlineMs: 20_000, takeoverMs: 5_000 },
  serving: {
    detector: { raiseCount: 3, raiseOf: 5, clearAfter: 5, margin: 3 },
    canary: { shadowWindows: 4, worseShareMax: 0.1 },
  },
  ...more,
});

/** A sensor that publishes each second: a wave and noise, and a failure while there is one. */
class Sensor {
  readonly #agent: RelayAgent;
  readonly #random: SeededRandom;
  #at = 0;
  isBroken = false;

  constructor(agent: RelayAgent) {
    this.#agent = agent;
    this.#random = new SeededRandom(`sensor/${agent.id}`);
  }

  publish(): void {
    const wave = Math.sin((2 * Math.PI * this.#at++) / PERIOD);
    const noise = 0.1 * (this.#random.next() - 0.5);
    const value = 20 + 5 * wave + noise + (this.isBroken ? 15 : 0);
    void this.#agent.body.broker.receive(
      "sensors/press/temperature",
      Buffer.from(value.toFixed(3)),
    );
  }
}

class Plant {
  readonly world: RelayWorld;
  readonly agents: RelayAgent[] = [];
  readonly sensors = new Map<RelayAgent, Sensor>();

  constructor(seed: string) {
    this.world = new RelayWorld(seed);
  }

  async add(name: string, sets: readonly string[] = []): Promise<RelayAgent> {
    const agent = this.world.agent(name, [], [...BASE, ...sets]);
    await agent.start(...this.agents);
    this.agents.push(agent);
    this.sensors.set(agent, new Sensor(agent));
    return agent;
  }

  /** Sensors publish for so many steps. */
  async run(steps: number, without: readonly RelayAgent[] = []): Promise<void> {
    for (let step = 0; step < steps; step++) {
      for (const [agent, sensor] of this.sensors) if (!without.includes(agent)) sensor.publish();
      await this.world.clock.advance(STEP_MS);
    }
  }

  /** Sensors publish until it is so. */
  async until(what: string, isSo: () => boolean, stepsMax = 2_000): Promise<void> {
    for (let step = 0; !isSo(); step++) {
      if (step > stepsMax) throw new Error(`waited ${stepsMax} steps for ${what}`);
      await this.run(1);
    }
  }
}

async function plant(
  seed: string,
  names: readonly string[],
  sets: readonly string[] = [],
): Promise<Plant> {
  const made = new Plant(seed);
  for (const name of names) await made.add(name, sets);
  await made.world.until("a committee", () =>
    made.agents.every((agent) => agent.agent.context.consensus.status().committee !== undefined),
  );
  return made;
}

const learning = (agent: RelayAgent) => agent.agent.context.learning;
const servingOf = (agent: RelayAgent, task: string) => learning(agent).serving.state(task);
/** Whether a model judges there; before a task is joined there is nothing to look at. */
function serves(agent: RelayAgent, task: string): boolean {
  try {
    return servingOf(agent, task).round !== undefined;
  } catch (error) {
    if (error instanceof LearningError) return false;
    throw error;
  }
}

/** What an agent published of a kind. */
function found(agent: RelayAgent, kind: "score" | "alert"): Record<string, unknown>[] {
  const topic = `agent-mesh/${agent.id}/learning/press/${kind}`;
  return agent.body.broker.published
    .filter((message) => message.topic === topic)
    .map(({ payload }) => JSON.parse(Buffer.from(payload).toString("utf8")));
}

async function stopAll(t: Test, { world }: Plant): Promise<void> {
  for (const agent of world.agents.values()) await agent.stop();
  await world.clock.advance(60_000);
  t.same(world.clock.waiting, [], "no timer is left behind");
}

for (const normalize of ["federated", "window", "none"])
  t.test(`one sensor fails, and its agent alone says so, normalize ${normalize}`, async (t) => {
    const made = await plant(`three/${normalize}`, ["east", "north", "west"]);
    const { world, agents } = made;
    const [east, north, west] = agents as [RelayAgent, RelayAgent, RelayAgent];
    await made.run(100);
    const client = { ...spec().client, learningRate: normalize === "none" ? 0.001 : 0.05 };
    const { task } = await world.settle(learning(east).start(spec({ normalize }, { client })));
    await made.until("all rounds", () =>
      agents.every((agent) => learning(agent).task(task)?.state === "finished"),
    );
    await made.until("models to serve", () =>
      agents.every((agent) => servingOf(agent, task).round !== undefined),
    );
    await made.run(60);
    t.comment(JSON.stringify(servingOf(north, task)));
    for (const agent of agents) {
      t.ok(servingOf(agent, task).detector.judged > 0, `${agent.id} judges`);
      t.same(found(agent, "alert"), [], `${agent.id} has nothing to say`);
    }
    if (normalize === "window") return stopAll(t, made);
    const sensor = made.sensors.get(north) as Sensor;
    sensor.isBroken = true;
    await made.run(20);
    sensor.isBroken = false;
    await made.until("it to be over", () => !servingOf(north, task).alert.raised);
    t.match(found(north, "alert"), [
      { task, name: "press", agentId: "north", state: "raised" },
      { task, name: "press", agentId: "north", state: "cleared" },
    ]);
    for (const agent of [east, west]) t.same(found(agent, "alert"), [], `${agent.id} is calm`);
    await stopAll(t, made);
  });

/** Three agents with a finished task whose models serve. */
async function served(seed: string, more: object = {}) {
  const made = await plant(seed, ["east", "north", "west"]);
  const { world, agents } = made;
  await made.run(100);
  const { task } = await world.settle(learning(agents[0]!).start(spec({}, more)));
  await made.until("all rounds", () =>
    agents.every((agent) => learning(agent).task(task)?.state === "finished"),
  );
  await made.until("models to serve", () =>
    agents.every((agent) => servingOf(agent, task).round !== undefined),
  );
  await made.run(40);
  return { made, world, agents, task };
}

t.test("what agents normalise by and what they correct their drift by come together", async (t) => {
  const client = { kind: "local", learningRate: 0.05, epochs: 3, batchSize: 16, scaffold: true };
  const { made, agents, task } = await served("corrected", { client });
  for (const agent of agents) {
    t.match(learning(agent).task(task), { round: 12, state: "finished" });
    t.ok(servingOf(agent, task).detector.judged > 0, `${agent.id} judges`);
    const losses = (learning(agent).rounds(task, 1, 12) ?? []).map(
      ({ evaluation }) => evaluation?.loss,
    );
    const [first = 0, last = 1] = [losses[0], losses.at(-1)];
    t.ok(last < first / 2, `${agent.id}: ${losses.join(" ")}`);
  }
  await stopAll(t, made);
});

t.test("a stop and a power cut keep history, model, threshold and labels", async (t) => {
  const { made, world, agents, task } = await served("restart");
  const [east, north, west] = agents as [RelayAgent, RelayAgent, RelayAgent];
  const label = { fromMs: 1_000, toMs: 2_000, class: 1, who: "east" };
  await world.settle(learning(north).serving.addLabel(task, label));
  const before = servingOf(north, task);
  await north.stop();
  await north.start(east, west);
  await made.until("it to serve", () => serves(north, task));
  const after = servingOf(north, task);
  t.equal(after.round, before.round);
  t.equal(after.threshold, before.threshold);
  t.same(after.scale, before.scale);
  t.ok(after.recorder.points >= before.recorder.points, `${after.recorder.points} steps`);
  t.ok((after.recorder.store?.pointsLoaded ?? 0) > 0, "from its disk");
  t.match(learning(north).serving.labels(task), [label]);

  // What was not written yet waits in the outbox, which no uplink has emptied.
  await made.run(30);
  const { points } = servingOf(north, task).recorder;
  north.crash();
  await made.run(3, [north]);
  await north.start(east, west);
  await made.until("it to serve", () => serves(north, task));
  const cut = servingOf(north, task);
  t.ok(cut.recorder.points >= points - 1, `${cut.recorder.points} of ${points} steps`);
  t.equal(cut.threshold, before.threshold);
  const sensor = made.sensors.get(north) as Sensor;
  sensor.isBroken = true;
  await made.run(20);
  t.match(found(north, "alert").at(-1), { state: "raised" });
  t.equal(learning(north).serving.alerts().length, 1);

  // Nobody is left with an alert that never ends, though its end comes after another restart.
  const { sinceMs } = servingOf(north, task).alert;
  await north.stop();
  sensor.isBroken = false;
  await north.start(east, west);
  await made.until("it to serve", () => serves(north, task));
  t.equal(servingOf(north, task).alert.sinceMs, sinceMs);
  await made.until("it to be over", () => !servingOf(north, task).alert.raised);
  t.match(found(north, "alert").at(-1), { state: "cleared", sinceMs });
  await stopAll(t, made);
});

t.test("one that comes late serves what the others learned, once it has a history", async (t) => {
  const { made, agents, task } = await served("late");
  const late = await made.add("late");
  await made.until("it to know the task", () => learning(late).task(task)?.round === 12);
  t.equal(servingOf(late, task).round, undefined, "nothing to judge by yet");
  t.match(servingOf(late, task).because, /windows|published/);
  await made.until("it to serve", () => serves(late, task));
  t.equal(servingOf(late, task).round, 12);
  t.same(servingOf(late, task).scale, servingOf(agents[0]!, task).scale, "by the same scale");
  await made.run(30);
  t.ok(servingOf(late, task).detector.judged > 0);
  t.same(found(late, "alert"), []);
  await stopAll(t, made);
});

t.test(
  "who has no such sensor follows and says so, and trains as soon as it has one",
  async (t) => {
    const made = await plant("unlike", ["east", "north", "west", "mute"]);
    const { world, agents } = made;
    const [east, , , mute] = agents as [RelayAgent, RelayAgent, RelayAgent, RelayAgent];
    await made.run(100, [mute]);
    const { task } = await world.settle(learning(east).start(spec({}, { rounds: 1_000 })));
    const roundOf = (agent: RelayAgent): number => learning(agent).task(task)?.round ?? 0;
    for (let step = 0; roundOf(mute) < 3; step++) {
      if (step > 500) throw new Error("no rounds");
      await made.run(1, [mute]);
    }
    t.match(learning(mute).task(task), {
      activity: "no-data",
      because: /nothing has been published here on sensors\/\+\/temperature/,
      samples: 0,
    });
    t.equal(learning(east).task(task)?.latest?.updates, 3);
    await made.until("it to train too", () => learning(east).task(task)?.latest?.updates === 4);
    t.ok((learning(mute).task(task)?.samples ?? 0) >= 8);
    await world.settle(learning(east).control(task, "stopped"));
    await made.run(3);
    const kept = mute.body.disk.range({ gte: "l/stream/", lt: "l/stream0", limit: 1 });
    t.same(kept, [], "what was recorded for a task goes with it");
    await stopAll(t, made);
  },
);

t.test("what agents find is no reading, even where everything is", async (t) => {
  const made = await plant("loop", ["east", "north", "west"], ['mqtt.topics=[{"filter":"#"}]']);
  const { world, agents } = made;
  const [east] = agents as [RelayAgent];
  await made.run(5);
  const before = east.queued;
  for (const topic of ["agent-mesh/east/learning/press/score", "agent-mesh/o/learning/p/alert"])
    await world.settle(east.body.broker.receive(topic, Buffer.from("{}")));
  t.equal(east.queued, before, "acknowledged, and not kept");
  await world.settle(east.body.broker.receive("agent-mesh/east/learned", Buffer.from("1")));
  t.equal(east.queued, before + 1);
  await stopAll(t, made);
});

t.test("a task that would take more memory than there is, is followed", async (t) => {
  const made = await plant("memory", ["east", "north", "west"], ["consensus.foundersMin=3"]);
  const { world, agents } = made;
  const [east] = agents as [RelayAgent];
  const small = await made.add("small", ["learning.memoryBytesMax=1048576"]);
  await made.run(100);
  const data = { historyMs: 60_000_000, samplesMax: 20_000 };
  const { task } = await world.settle(learning(east).start(spec(data)));
  await made.until("rounds", () => (learning(small).task(task)?.round ?? 0) >= 3);
  t.match(learning(small).task(task), {
    activity: "no-data",
    because: /learning\.memoryBytesMax leaves less/,
  });
  t.equal(learning(east).task(task)?.latest?.updates, 3);
  t.throws(() => servingOf(small, task), { code: "learning.no-streams" });
  await stopAll(t, made);
});

t.test("models are pinned and rolled back by hand", async (t) => {
  const { made, world, agents, task } = await served("hand");
  const [east] = agents as [RelayAgent];
  const { serving } = learning(east);
  const before = serving.versions(task).versions;
  const now = before.find(({ state }) => state === "serving")?.round;
  const { versions } = await world.settle(serving.command(task, { kind: "rollback" }));
  const back = versions.find(({ state }) => state === "serving")?.round ?? 0;
  t.ok(back < (now ?? 0), `from ${now} back to ${back}`);
  await made.run(20);
  t.equal(servingOf(east, task).round, back, "and it stays");
  await world.settle(serving.command(task, { kind: "pin", round: back }));
  await t.rejects(world.settle(serving.command(task, { kind: "promote", round: now ?? 0 })), {
    code: "learning.version",
    message: /is pinned/,
  });
  await world.settle(serving.command(task, { kind: "unpin" }));
  await world.settle(serving.command(task, { kind: "promote", round: now ?? 0 }));
  t.equal(servingOf(east, task).round, now);
  await stopAll(t, made);
});
