// A sensor and whoever waits for alerts are clients of a broker that was there before: Mosquitto, which is killed on the way.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import mqtt from "mqtt";
import t from "tap";
import { AgentProcess, agentMesh, until } from "../support/agent-process.ts";
import { freePort } from "../support/free-port.ts";
import { mosquittoMissing, startMosquitto, subscribe } from "../support/mosquitto.ts";

const STEP_MS = 50;
const TOPIC = "sensors/press/temperature";
const ALERTS = "agent-mesh/press-1/learning/press/alert";

/** As examples/learn/tasks/anomaly.yaml, small and fast: a window is 12 steps of 50 ms. */
const TASK = `
name: press
model:
  inputShape: [12, 1]
  layers:
    - { kind: flatten }
    - { kind: dense, units: 12, activation: tanh }
    - { kind: dense, units: 2 }
    - { kind: dense, units: 12, activation: tanh }
    - { kind: dense, units: 12 }
  loss: mean-squared-error
data:
  kind: streams
  channels: [{ name: temperature, topic: sensors/+/temperature }]
  everyMs: ${STEP_MS}
  windowLength: 12
  gapMsMax: 2000
  fillMax: 8
  historyMs: 120000
  samplesMax: 2000
  normalize: federated
  goal: { kind: reconstruct }
client: { kind: local, epochs: 4, batchSize: 16, learningRate: 0.02, momentum: 0.9 }
rounds: 12
pace: { agentsMin: 1, deadlineMs: 8000, takeoverMs: 2000 }
serving:
  detector: { margin: 2, raiseCount: 3, raiseOf: 5, clearAfter: 12, alertsPerHourMax: 100 }
  canary: { shadowWindows: 12, worseShareMax: 0.5 }
`;

interface Alert {
  readonly agentId: string;
  readonly state: "raised" | "cleared";
  readonly score: number;
  readonly threshold: number;
}

t.setTimeout(240_000);

t.test("alerts come over a Mosquitto that both know", { skip: mosquittoMissing() }, async (t) => {
  const port = await freePort();
  const first = await startMosquitto(t, { port });
  const directory = t.testdir();
  const agent = await AgentProcess.start(t, join(directory, "data"), [
    "agent.id=press-1",
    "mqtt.broker.embedded=false",
    `mqtt.connect.url=mqtt://127.0.0.1:${port}`,
    "mesh.enabled=true",
    "mesh.port=0",
    "power.mode=normal",
    "consensus.enabled=true",
    "consensus.foundersMin=1",
    "consensus.foundAfterMs=1000",
    "learning.enabled=true",
    "learning.gatherMs=200",
  ]);
  const file = join(directory, "task.yaml");
  writeFileSync(file, TASK);
  const token = join(agent.data, "admin.token");
  const started = await agentMesh([
    "learn",
    "start",
    file,
    "--url",
    agent.api,
    "--token-file",
    token,
  ]);
  t.equal(started.code, 0, started.stderr);

  // A press: two hundred strokes a minute. Where it is stuck, it does not move any more.
  let isStuck = false;
  const sensor = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, { reconnectPeriod: 200 });
  sensor.on("error", () => undefined);
  t.teardown(() => sensor.endAsync(true));
  const beganMs = Date.now();
  const timer = setInterval(() => {
    const phase = ((Date.now() - beganMs) / 300) * 2 * Math.PI;
    const value = isStuck ? 60 : 40 + 5 * Math.sin(phase / 2);
    if (sensor.connected) sensor.publish(TOPIC, value.toFixed(3), { qos: 1 }, () => undefined);
  }, STEP_MS);
  t.teardown(() => clearInterval(timer));

  interface Task {
    readonly round: number;
    readonly serving?: { readonly round?: number };
  }
  const tasks = async () => (await agent.get<{ items: Task[] }>("/v1/learning/tasks")).items;
  const scores = await subscribe(t, port, "agent-mesh/press-1/learning/press/score", { qos: 0 });
  await until("scores", () => scores.lines.length > 20);
  await until("the last round", async () => (await tasks())[0]?.round === 12);

  await first.kill();
  await delay(1_000);
  await startMosquitto(t, { port });
  // Only who comes back can hear of it.
  const alerts = await subscribe(t, port, ALERTS);
  const after = await subscribe(t, port, "agent-mesh/press-1/learning/press/score", { qos: 0 });
  await until("scores over the new one", () => after.lines.length > 20);
  isStuck = true;
  const said = (): Alert[] =>
    alerts.lines.map((line) => JSON.parse(line.slice(ALERTS.length + 1)) as Alert);
  await until("an alert", () => said().some(({ state }) => state === "raised"));
  const raised = said().find(({ state }) => state === "raised");
  t.match(raised, { agentId: "press-1" });
  t.ok((raised?.score ?? 0) > (raised?.threshold ?? Number.POSITIVE_INFINITY));
  isStuck = false;
  await until("it to be over", () => said().at(-1)?.state === "cleared");
  // Whoever comes later is told how it stands.
  const late = await subscribe(t, port, ALERTS);
  await until("the last word", () => late.lines.length === 1);
  t.match(late.lines[0], /"state":"cleared"/);
  const { items } = await agent.get<{ items: { state: string }[] }>("/v1/learning/alerts?limit=2");
  t.same(
    items.map(({ state }) => state),
    ["cleared", "raised"],
    "and REST says the same",
  );
  t.equal((await agent.stop()).code, 0);
});
