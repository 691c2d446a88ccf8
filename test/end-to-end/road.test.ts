// The main job: readings taken by the built agent reach a real Mosquitto, whatever is killed on the way.
import { existsSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import mqttPacket, { type Packet } from "mqtt-packet";
import t, { type Test } from "tap";
import { AgentProcess, until } from "../support/agent-process.ts";
import { freePort } from "../support/free-port.ts";
import { Gate } from "../support/gate.ts";
import {
  type Mosquitto,
  mosquittoClient,
  mosquittoMissing,
  startMosquitto,
  subscribe,
} from "../support/mosquitto.ts";
import { RoadObserver, roadFaults } from "../support/road-observer.ts";
import { RoadPublisher } from "../support/road-publisher.ts";

const skip = mosquittoMissing();
const NO_FAULTS = { lost: [], disordered: [], overtaken: [] };
const LONG_MS = 60_000;

t.setTimeout(300_000);

/** An upstream that is not running yet, a gate in front of it, and settings to reach it through the gate. */
async function upstream(t: Test) {
  const directory = t.testdir();
  const port = await freePort();
  const gate = await Gate.create(t, port);
  const observer = new RoadObserver();
  t.teardown(() => observer.detach());
  const sets = [
    "agent.id=pi",
    "uplinks.0.name=cloud",
    "uplinks.0.kind=mqtt",
    `uplinks.0.url=mqtt://127.0.0.1:${gate.port}`,
    "uplinks.0.retryMinMs=20",
    "uplinks.0.retryMaxMs=100",
  ];
  let mosquitto: Mosquitto | undefined;
  return {
    port,
    data: join(directory, "data"),
    sets,
    observer,
    /** Nobody may deliver before there is somebody to see it. */
    up: async () => {
      // A subscriber's queue without end: it sees everything that the publisher heard was taken.
      mosquitto = await startMosquitto(t, { port, lines: ["max_queued_messages 0"] });
      await observer.attach(port);
      gate.open();
    },
    down: async () => {
      gate.shut();
      await mosquitto?.kill();
    },
  };
}

async function drained(agent: AgentProcess): Promise<void> {
  const empty = async (): Promise<boolean> =>
    (await agent.get<{ updates: number }>("/v1/queue")).updates === 0;
  await until("the queue to be empty", empty, LONG_MS);
}

/** What a Mosquitto client printed; words end at blanks. */
async function client(
  program: "mosquitto_pub" | "mosquitto_sub",
  port: number,
  words: string,
  input?: string,
): Promise<string> {
  const { status, output } = await mosquittoClient(program, port, words.split(" "), input);
  if (status !== 0) throw new Error(`${program} ${words}: ${status}: ${output}`);
  return output;
}

/** Waits until the retained state document says so. */
async function stateIs(port: number, state: "online" | "offline"): Promise<void> {
  await until(`$state to be ${state}`, async () => {
    const words = "-t agent-mesh/pi/$state --retained-only -C 1 -W 10";
    const text = await client("mosquitto_sub", port, words);
    const document = JSON.parse(text) as { state: string; agentId: string };
    return document.state === state && document.agentId === "pi";
  });
}

t.test("a reading shows up through REST and upstream, the state with it", { skip }, async (t) => {
  const { port, data, sets, up } = await upstream(t);
  await up();
  const fleet = await subscribe(t, port, "agent-mesh/+/sensors/#", { format: "%t|%P|%p" });
  const agent = await AgentProcess.start(t, data, sets);
  await client("mosquitto_pub", agent.mqttPort, "-q 1 -t sensors/room/temp -m 21.5");
  const { items } = await agent.get<{ items: object[] }>("/v1/readings");
  t.match(items, [{ topic: "sensors/room/temp", text: "21.5", sequence: 1, count: 1 }]);
  const line = await until("the reading upstream", () => fleet.lines[0]);
  await fleet.stop();
  t.match(line, /^agent-mesh\/pi\/sensors\/room\/temp\|.*\|21\.5$/);
  for (const property of [
    "id:pi/sensors/room/temp/1",
    "stream:sensors/room/temp",
    "sequence:1",
    /observed-at:20\d\d-\d\d-\d\dT[\d:.]+Z/,
  ])
    t.match(line, property);
  await stateIs(port, "online");
  await agent.kill();
  await stateIs(port, "offline");
  const again = await AgentProcess.start(t, data, sets);
  await stateIs(port, "online");
  t.equal((await again.stop()).code, 0);
  await stateIs(port, "offline");
});

for (const [protocol, protocolVersion] of [
  ["5", 5],
  ["3.1.1", 4],
] as const) {
  t.test(`an outage, and kill -9 twice (MQTT ${protocol})`, { skip }, async (t) => {
    const { data, sets, observer, up } = await upstream(t);
    const all = [...sets, `uplinks.0.protocol=${protocol}`];
    let agent = await AgentProcess.start(t, data, all);
    const port = (): number => agent.mqttPort;
    const publisher = new RoadPublisher({ port, protocolVersion, messages: 10_000, streams: 5 });
    t.teardown(() => publisher.stop());
    const published = publisher.run();
    for (const midway of [2_500, 6_000]) {
      await until("acknowledgements", () => publisher.acknowledged.size >= midway, LONG_MS);
      await agent.kill();
      t.ok(publisher.acknowledged.size < 10_000, "killed in mid-stream");
      agent = await AgentProcess.start(t, data, all);
    }
    await published;
    t.equal(publisher.acknowledged.size, 10_000);
    t.equal(observer.arrivals.length, 0);
    await up();
    await drained(agent);
    const distinct = observer.distinct();
    t.equal(observer.arrivals.length, distinct.length, "no id twice");
    t.same(roadFaults(publisher.acknowledged, distinct), NO_FAULTS);
    t.same(new Set(distinct.map(({ stream }) => stream)).size, 5);
  });
}

t.test("an upstream that is killed and comes back under live traffic", { skip }, async (t) => {
  const { data, sets, observer, up, down } = await upstream(t);
  await up();
  const agent = await AgentProcess.start(t, data, sets);
  const publisher = new RoadPublisher({
    port: () => agent.mqttPort,
    protocolVersion: 5,
    messages: Number.POSITIVE_INFINITY,
    streams: 3,
  });
  t.teardown(() => publisher.stop());
  const published = publisher.run();
  const arrivals = (least: number): Promise<true> =>
    until("arrivals", () => observer.arrivals.length >= least, LONG_MS);
  for (let times = 0; times < 4; times++) {
    await arrivals(observer.arrivals.length + 1_500);
    await down();
    await up();
  }
  await arrivals(observer.arrivals.length + 1_500);
  publisher.stop();
  await published;
  await drained(agent);
  const distinct = observer.distinct();
  t.comment(`${observer.arrivals.length - distinct.length} of ${distinct.length} came twice`);
  t.same(roadFaults(publisher.acknowledged, distinct), NO_FAULTS);
  const payloads = new Set(distinct.map(({ payload }) => payload));
  t.equal(payloads.size, distinct.length, "each was taken once, since the agent lived");
});

t.test("a clean stop under load loses nothing", { skip }, async (t) => {
  const { data, sets, observer, up } = await upstream(t);
  await up();
  let agent = await AgentProcess.start(t, data, sets);
  const publisher = new RoadPublisher({
    port: () => agent.mqttPort,
    protocolVersion: 5,
    messages: Number.POSITIVE_INFINITY,
    streams: 4,
  });
  t.teardown(() => publisher.stop());
  const published = publisher.run();
  await until("arrivals", () => observer.arrivals.length > 2_000, LONG_MS);
  const { code, ms } = await agent.stop();
  publisher.stop();
  await published;
  t.equal(code, 0);
  t.ok(ms < 10_000, `took ${Math.round(ms)} ms`);
  t.notOk(existsSync(join(data, "run.json")));
  agent = await AgentProcess.start(t, data, sets);
  await drained(agent);
  t.same(roadFaults(publisher.acknowledged, observer.distinct()), NO_FAULTS);
});

t.test("a second SIGTERM ends the agent at once", async (t) => {
  const agent = await AgentProcess.start(t, join(t.testdir(), "data"));
  // Half a request keeps an orderly stop waiting.
  const half = connect(Number(new URL(agent.api).port), "127.0.0.1");
  t.teardown(() => half.destroy());
  half.on("error", () => undefined);
  half.write("POST /v1/tokens HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n{");
  await until("the request to be seen", async () => (await agent.ask("/healthz")).ok);
  agent.signal("SIGTERM");
  await until("the stop", () => agent.log.includes("stopping"));
  agent.signal("SIGTERM");
  t.equal(await agent.exited(), 1);
  t.notMatch(agent.log, '"stopped"', "it did not wait");
});

t.test("QoS 2: taken once, acknowledged in full", { skip }, async (t) => {
  const { data, sets, observer, up } = await upstream(t);
  await up();
  const agent = await AgentProcess.start(t, data, sets);
  const lines = Array.from({ length: 500 }, (_, number) => `${number}\n`).join("");
  await client("mosquitto_pub", agent.mqttPort, "-V 5 -q 2 -t sensors/line-0 -l", lines);
  t.same(await repeatedQos2(agent.mqttPort), ["connack", "pubrec", "pubrec", "pubcomp"]);
  await drained(agent);
  const numbers = observer.arrivals.map(({ payload }) => Number(payload));
  t.same(
    numbers,
    Array.from({ length: 501 }, (_, number) => number),
  );
  t.same(roadFaults(numbers, observer.distinct()), NO_FAULTS);
});

/** Publishes one message twice, as after a lost PUBREC. @returns the answers. */
async function repeatedQos2(port: number): Promise<string[]> {
  const socket = connect(port, "127.0.0.1");
  const answers: string[] = [];
  const parser = mqttPacket.parser();
  const send = (packet: Packet): void => {
    socket.write(mqttPacket.generate(packet));
  };
  const publish = (dup: boolean): void =>
    send({
      cmd: "publish",
      topic: "sensors/line-0",
      payload: "500",
      qos: 2,
      messageId: 7,
      dup,
      retain: false,
    });
  parser.on("packet", ({ cmd }) => {
    answers.push(cmd);
    if (cmd === "connack") publish(false);
    else if (cmd === "pubrec" && answers.length === 2) publish(true);
    else if (cmd === "pubrec") send({ cmd: "pubrel", messageId: 7 });
    else socket.end();
  });
  socket.on("data", (chunk) => parser.parse(chunk));
  send({ cmd: "connect", clientId: "qos-2", clean: true, keepalive: 0 });
  await new Promise((done) => {
    socket.once("close", done);
  });
  return answers;
}
