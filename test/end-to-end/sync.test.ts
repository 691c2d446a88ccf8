// Incremental sync between the built agent and `agent-mesh receive`: what the receiver has is not sent, and states
// travel as their difference.
import { createHash } from "node:crypto";
import { cpSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import mqtt from "mqtt";
import t, { type Test } from "tap";
import { reading } from "../../bench/support/mqtt-wire.ts";
import { AgentProcess, until } from "../support/agent-process.ts";
import { mosquittoMissing, startMosquitto } from "../support/mosquitto.ts";
import { ReceiverProcess } from "../support/receiver-process.ts";

t.setTimeout(600_000);

interface Status {
  readonly accepted: number;
  readonly duplicates: number;
  readonly refused: number;
  readonly bytesReceived: number;
}

interface UplinkStatus {
  readonly skipped: number;
  readonly acknowledged: number;
  readonly inFlight: number;
}

const WAITING = 10_000;
const NEW = 500;
const TOPIC = "sensors/boiler";

/** Publishes to the agent; returns when it has everything on disk. */
async function publish(
  t: Test,
  agent: AgentProcess,
  messages: readonly (readonly [topic: string, payload: string])[],
): Promise<void> {
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${agent.mqttPort}`);
  t.teardown(() => client.endAsync(true));
  for (let at = 0; at < messages.length; at += 1_000) {
    const some = messages.slice(at, at + 1_000);
    await Promise.all(some.map(([topic, text]) => client.publishAsync(topic, text, { qos: 1 })));
  }
  await client.endAsync();
}

const readings = (first: number, count: number): (readonly [string, string])[] =>
  Array.from({ length: count }, (_, at) => [TOPIC, reading(first + at)]);

const upTo = (last: number): number[] => Array.from({ length: last }, (_, at) => at + 1);

/** An old copy of the agent's data is put back after everything in it has arrived. */
async function restoredCard(
  t: Test,
  receiver: ReceiverProcess,
  directory: string,
  uplink: readonly string[],
): Promise<void> {
  const data = join(directory, "agent");
  const out = join(directory, "out.ndjson");
  const own = ["agent.id=pi-1"];
  const status = () => receiver.get<Status>("/v1/status");
  const accepted = (count: number) =>
    until(`${count} updates`, async () => (await status()).accepted === count);
  const drained = (agent: AgentProcess) =>
    until("an empty queue", async () => {
      const { updates } = await agent.get<{ updates: number }>("/v1/queue");
      return updates === 0;
    });

  let agent = await AgentProcess.start(t, data, own);
  await publish(t, agent, readings(1, WAITING));
  await agent.stop();
  const copy = `${data}-copy`;
  cpSync(data, copy, { recursive: true });

  agent = await AgentProcess.start(t, data, [...own, ...uplink]);
  await accepted(WAITING);
  await drained(agent);
  await agent.stop();
  const before = await status();

  rmSync(data, { recursive: true });
  cpSync(copy, data, { recursive: true });
  agent = await AgentProcess.start(t, data, [...own, ...uplink]);
  await publish(t, agent, readings(WAITING + 1, NEW));
  await accepted(WAITING + NEW);
  await drained(agent);
  const after = await status();
  const { items } = await agent.get<{ items: UplinkStatus[] }>("/v1/uplinks");
  t.match(items, [{ skipped: WAITING, acknowledged: NEW, inFlight: 0 }]);
  const metrics = await (await agent.ask("/metrics")).text();
  t.match(metrics, new RegExp(`agent_mesh_uplink_skipped_total\\{.*\\} ${WAITING}`));
  t.equal(after.duplicates, before.duplicates, "nothing came twice");
  t.equal(after.refused, 0);
  const bytes = after.bytesReceived - before.bytesReceived;
  const first = before.bytesReceived;
  t.ok(bytes < (first * NEW) / WAITING + 20_000, `${bytes} bytes, after ${first} for the first`);
  await agent.stop();
  await until("everything to be passed on", () => linesOf(out).length === WAITING + NEW);
  t.same(
    linesOf(out).map((line) => (JSON.parse(line) as { sequence: number }).sequence),
    upTo(WAITING + NEW),
    "each once, in order",
  );
}

function linesOf(file: string): string[] {
  return readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "");
}

t.test("an old copy of the data is put back: over HTTP only what is new travels", async (t) => {
  const directory = t.testdir();
  const out = join(directory, "out.ndjson");
  const words = ["--listen", "127.0.0.1:0", "--forward-to", out];
  const receiver = await ReceiverProcess.start(t, join(directory, "receiver"), words);
  await restoredCard(t, receiver, directory, uplinkTo(receiver));
  await receiver.stop();
});

t.test(
  "an old copy of the data is put back: over MQTT only what is new travels",
  { skip: mosquittoMissing() },
  async (t) => {
    const mosquitto = await startMosquitto(t, { lines: ["max_queued_messages 0"] });
    const directory = t.testdir();
    const out = join(directory, "out.ndjson");
    const words = ["--listen", "127.0.0.1:0", "--mqtt", mosquitto.url, "--forward-to", out];
    const receiver = await ReceiverProcess.start(t, join(directory, "receiver"), words);
    await until("the connection", async () => {
      const { mqtt } = await receiver.get<{ mqtt: { connected: boolean } }>("/v1/status");
      return mqtt.connected;
    });
    const settings = ["name=up", "kind=mqtt", `url=${mosquitto.url}`, "sync=auto"];
    await restoredCard(
      t,
      receiver,
      directory,
      settings.map((set) => `uplinks.0.${set}`),
    );
    await receiver.stop();
  },
);

function uplinkTo(receiver: ReceiverProcess): string[] {
  const settings = [`url=${receiver.url}/v1/updates`, `token=${receiver.token}`];
  return ["name=up", "kind=https", ...settings].map((set) => `uplinks.0.${set}`);
}

/** 1 kB that does not compress, and one field that changes. */
function state(device: number, round: number): Record<string, unknown> {
  const fixed = Array.from({ length: 18 }, (_, at) => {
    const value = createHash("sha256").update(`${device} ${at}`).digest("base64url");
    return [`setting${at}`, value.slice(0, 40)] as const;
  });
  return { ...Object.fromEntries(fixed), valve: { open: round % 2 === 1, turns: round * device } };
}

t.test("states travel as differences, and are whole where they are read", async (t) => {
  const DEVICES = 40;
  const ROUNDS = 10;
  const directory = t.testdir();
  const receiver = await ReceiverProcess.start(t, join(directory, "receiver"));
  const topics = ["filter=states/#", "keep=latest"].map((set) => `mqtt.topics.0.${set}`);
  const sets = ["agent.id=pi-1", ...topics, ...uplinkTo(receiver), "uplinks.0.lingerMs=200"];
  const agent = await AgentProcess.start(t, join(directory, "agent"), sets);
  const status = () => receiver.get<Status>("/v1/status");
  const round = async (number: number): Promise<void> => {
    const devices = upTo(DEVICES);
    const payload = (device: number): string => JSON.stringify(state(device, number));
    await publish(
      t,
      agent,
      devices.map((device) => [`states/${device}`, payload(device)]),
    );
    await until("the round", async () => (await status()).accepted === DEVICES * (number + 1));
  };
  await round(0);
  const before = await status();
  for (let number = 1; number <= ROUNDS; number++) await round(number);
  const after = await status();
  const bytes = (after.bytesReceived - before.bytesReceived) / (DEVICES * ROUNDS);
  t.ok(JSON.stringify(state(1, 1)).length > 900);
  t.ok(bytes < 200, `${bytes} bytes a change, after ${before.bytesReceived / DEVICES} for a state`);
  t.equal(after.refused, 0);
  for (const device of [1, DEVICES]) {
    const path = `/v1/updates?agent=pi-1&stream=states%2F${device}&from=1&limit=100`;
    const lines = (await (await receiver.ask(path)).text()).trim().split("\n");
    t.same(
      lines.map((line) => (JSON.parse(line) as { payload: unknown }).payload),
      [0, ...upTo(ROUNDS)].map((number) => state(device, number)),
    );
  }
  // The receiver forgets: nothing to build on, so the next states travel whole, and the link stays.
  await receiver.ask("/v1/agents/pi-1", { method: "DELETE" });
  const { accepted } = await status();
  await publish(t, agent, [["states/1", JSON.stringify(state(1, 99))]]);
  await until("the state, whole", async () => (await status()).accepted === accepted + 1);
  await until("an empty queue", async () => {
    const { updates } = await agent.get<{ updates: number }>("/v1/queue");
    return updates === 0;
  });
  const { items } = await agent.get<{ items: { attempts: number }[] }>("/v1/uplinks");
  t.match(items, [{ attempts: 1, refused: 0 }]);
  const path = "/v1/updates?agent=pi-1&stream=states%2F1&from=1&limit=100";
  const [line = ""] = (await (await receiver.ask(path)).text()).trim().split("\n");
  t.match(JSON.parse(line), { sequence: ROUNDS + 2, payload: state(1, 99) });
  await agent.stop();
  await receiver.stop();
});
