// Faults one by one, on the built agent, with brokers that do what real ones do on bad days.
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Packet } from "mqtt-packet";
import t, { type Test } from "tap";
import { Link } from "../../faults/parts/link.ts";
import { Outbox } from "../../src/outbox/outbox.ts";
import { LevelStore } from "../../src/platform/level/level-store.ts";
import { SystemClock } from "../../src/platform/node/system-clock.ts";
import { AgentProcess, agentMesh, until } from "../support/agent-process.ts";
import { type FakeConnection, fakeBroker, welcome } from "../support/fake-broker.ts";
import { freePort } from "../support/free-port.ts";
import { keptLog } from "../support/kept-log.ts";
import { mosquittoMissing, startMosquitto } from "../support/mosquitto.ts";
import { appender } from "../support/outbox-appender.ts";
import { RoadObserver, roadFaults } from "../support/road-observer.ts";
import { RoadPublisher } from "../support/road-publisher.ts";

const LONG_MS = 60_000;
const NO_FAULTS = { lost: [], disordered: [], overtaken: [] };

t.setTimeout(300_000);

interface Queue {
  readonly updates: number;
  readonly bytes: number;
  readonly bytesMax: number;
  readonly shed: number;
  readonly deadLetters: number;
  readonly deadLetterBytes: number;
}

const queueOf = (agent: AgentProcess): Promise<Queue> => agent.get<Queue>("/v1/queue");

function uplinkTo(url: string, more: readonly string[] = []): string[] {
  return [
    "agent.id=pi",
    "uplinks.0.name=cloud",
    "uplinks.0.kind=mqtt",
    `uplinks.0.url=${url}`,
    "uplinks.0.retryMinMs=10",
    "uplinks.0.retryMaxMs=100",
    "uplinks.0.protocol=5",
    ...more.map((set) => `uplinks.0.${set}`),
  ];
}

/** Publishes so many numbers to `streams` topics, until all are acknowledged. */
async function publish(
  t: Test,
  agent: AgentProcess,
  messages: number,
  streams = 3,
): Promise<RoadPublisher> {
  const port = (): number => agent.mqttPort;
  const publisher = new RoadPublisher({ port, protocolVersion: 5, messages, streams });
  t.teardown(() => publisher.stop());
  await publisher.run();
  return publisher;
}

async function drained(agent: AgentProcess): Promise<void> {
  await until("an empty queue", async () => (await queueOf(agent)).updates === 0, LONG_MS);
}

/** Id and payload of a publish of a reading; undefined for anything else. */
function reading(packet: Packet): { id: string; messageId: number } | undefined {
  if (packet.cmd !== "publish" || packet.qos === 0) return undefined;
  const user = packet.properties?.userProperties;
  return { id: String(user?.["id"]), messageId: packet.messageId ?? 0 };
}

const noBroker = { skip: mosquittoMissing() };

t.test("a link cut silently in mid-drain, for longer than keepalive", noBroker, async (t) => {
  const port = await freePort();
  await startMosquitto(t, { port, lines: ["max_queued_messages 0"] });
  const observer = new RoadObserver();
  await observer.attach(port);
  t.teardown(() => observer.detach());
  const link = await Link.create(t, port);
  const sets = uplinkTo(`mqtt://127.0.0.1:${link.port}`, ["keepaliveSeconds=1"]);
  const agent = await AgentProcess.start(t, join(t.testdir(), "data"), sets);
  const publisher = await publish(t, agent, 8_000);
  link.open();
  await until("the first arrivals", () => observer.arrivals.length > 500);
  link.silence();
  t.ok(observer.arrivals.length < 8_000, "in mid-drain");
  await until("the agent to notice", () => /broker silent for 1 s/.test(agent.log));
  link.open();
  await drained(agent);
  const distinct = observer.distinct();
  t.same(roadFaults(publisher.acknowledged, distinct), NO_FAULTS);
  t.equal(distinct.length, 8_000);
});

t.test("lost acknowledgements: every reconnect sends the head once, under its id", async (t) => {
  const heads: string[] = [];
  const arrived: string[] = [];
  let connections = 0;
  const broker = await fakeBroker(t, (packet, { send, socket }: FakeConnection) => {
    if (packet.cmd === "connect") {
      connections++;
      // A new session each time, as after a broker that forgot: session present is 0.
      send(welcome({ receiveMaximum: 1 }));
    }
    const one = reading(packet);
    if (one === undefined) return;
    if (connections <= 20) {
      heads.push(`${connections} ${one.id}`);
      setTimeout(() => socket.destroy(), 5);
      return;
    }
    arrived.push(one.id);
    send({ cmd: "puback", messageId: one.messageId, reasonCode: 0 });
  });
  const agent = await AgentProcess.start(t, join(t.testdir(), "data"), uplinkTo(broker.url));
  await publish(t, agent, 50, 1);
  await drained(agent);
  t.same(
    heads,
    Array.from({ length: 20 }, (_, n) => `${n + 1} pi/sensors/line-0/1`),
  );
  t.same(
    arrived,
    Array.from({ length: 50 }, (_, n) => `pi/sensors/line-0/${n + 1}`),
  );
});

t.test("70,000 queued, and 65,535 packet identifiers of MQTT, all in flight at once", async (t) => {
  const flying = new Map<number, string>();
  const arrived: string[] = [];
  let most = 0;
  let reused = 0;
  let answering = false;
  const broker = await fakeBroker(t, (packet, { send }) => {
    if (packet.cmd === "connect") send(welcome());
    const one = reading(packet);
    if (one === undefined) return;
    if (flying.has(one.messageId)) reused++;
    flying.set(one.messageId, one.id);
    arrived.push(one.id);
    most = Math.max(most, flying.size);
    // Nothing is acknowledged before every identifier is taken.
    if (flying.size < 65_535 && !answering) return;
    answering = true;
    for (const messageId of flying.keys()) send({ cmd: "puback", messageId, reasonCode: 0 });
    flying.clear();
  });
  const data = join(t.testdir(), "data");
  let agent = await AgentProcess.start(t, data, ["agent.id=pi"]);
  await publish(t, agent, 70_000, 1);
  t.equal((await queueOf(agent)).updates, 70_000);
  await agent.stop();
  agent = await AgentProcess.start(t, data, uplinkTo(broker.url, ["inFlightMax=65535"]));
  await drained(agent);
  t.equal(most, 65_535);
  t.equal(reused, 0, "no identifier stood for two readings");
  t.equal(arrived.length, 70_000);
  const wrong = arrived.findIndex((id, n) => id !== `pi/sensors/line-0/${n + 1}`);
  t.equal(wrong, -1, "in order");
});

t.test(
  "poison and oversize readings step aside; refusals are bounded; a small window",
  async (t) => {
    const arrived: string[] = [];
    let flying = 0;
    let most = 0;
    const broker = await fakeBroker(t, (packet, { send }) => {
      if (packet.cmd === "connect") {
        flying = 0;
        send(welcome({ receiveMaximum: 7, maximumPacketSize: 1_000 }));
      }
      const one = reading(packet);
      if (one === undefined) return;
      most = Math.max(most, ++flying);
      const poison = Number(one.id.split("/").at(-1)) % 2 === 1;
      if (!poison) arrived.push(one.id);
      setTimeout(() => {
        flying--;
        send({ cmd: "puback", messageId: one.messageId, reasonCode: poison ? 0x99 : 0 });
      }, 1);
    });
    const sets = [...uplinkTo(broker.url), "outbox.deadLetterBytesMax=8192"];
    const agent = await AgentProcess.start(t, join(t.testdir(), "data"), sets);
    await publish(t, agent, 1_000, 1);
    await drained(agent);
    t.same(
      arrived,
      Array.from({ length: 500 }, (_, n) => `pi/sensors/line-0/${2 * n + 2}`),
    );
    t.ok(most <= 7, `${most} in flight, of a Receive Maximum of 7`);
    const { deadLetters, deadLetterBytes } = await queueOf(agent);
    t.ok(
      deadLetters > 10 && deadLetterBytes < 2 * 8_192,
      `${deadLetters} kept, ${deadLetterBytes} bytes`,
    );
  },
);

t.test(
  "the quota holds right after a restart, and other settings keep what is stored",
  async (t) => {
    const data = join(t.testdir(), "data");
    const quota = [
      "outbox.bytesMax=65536",
      "outbox.updateBytesMax=4096",
      "outbox.compress=false",
      "agent.id=pi",
    ];
    let agent = await AgentProcess.start(t, data, quota);
    await publish(t, agent, 12_000, 1);
    const before = await queueOf(agent);
    t.ok(before.shed > 0 && before.bytes <= 65_536, `${before.shed} shed, ${before.bytes} bytes`);
    await agent.kill();
    agent = await AgentProcess.start(t, data, quota);
    const after = await queueOf(agent);
    t.same([after.updates, after.bytes], [before.updates, before.bytes], "counted as before");
    await publish(t, agent, 500, 1);
    t.ok((await queueOf(agent)).bytes <= 65_536, "still within the quota");
    const kept = (await queueOf(agent)).updates;
    for (const sets of [
      ["outbox.bytesMax=100000000", "outbox.evict=reject"],
      ["outbox.commitLingerMs=20", "outbox.cacheBytesMax=65536", "outbox.streamsMax=5"],
      ["mqtt.topics.0.filter=other/#", "mqtt.topics.0.priority=9"],
    ]) {
      await agent.stop();
      agent = await AgentProcess.start(t, data, ["agent.id=pi", ...sets]);
      t.equal((await queueOf(agent)).updates, kept, sets.join(" "));
    }
  },
);

/** Bytes that no compression makes smaller; all of a block's are different ones. */
function noise(bytes: number): () => Buffer {
  const pool = randomBytes(16_777_216);
  let at = 0;
  return () => {
    at = (at + bytes) % (pool.length - bytes);
    return pool.subarray(at, at + bytes);
  };
}

/** Queues updates of 2,000 bytes without an agent. */
async function queueUp(data: string, count: number, bytesMax: number): Promise<void> {
  mkdirSync(data);
  const log = keptLog();
  const store = await LevelStore.open({ directory: join(data, "store"), logger: log });
  const parts = appender.parts(store, new SystemClock(), log);
  const outbox = await Outbox.open({ ...parts, options: { ...parts.options, bytesMax } });
  const payload = noise(2_000);
  const append = (): Promise<void> =>
    new Promise((done, fail) => {
      const draft = { stream: "s", payload: payload(), contentType: "text/plain", priority: 5 };
      outbox.append(draft, (error) => (error === undefined ? done() : fail(error)));
    });
  for (let left = count; left > 0; left -= 4_000)
    await Promise.all(Array.from({ length: Math.min(left, 4_000) }, append));
  await outbox.close();
  await store.close();
}

t.test("a restart with a large backlog takes neither long nor much memory", noBroker, async (t) => {
  // FAULTS_BACKLOG_BYTES=2e9 is a backlog of 2 GB, for a machine with time.
  const bytes = Number(process.env["FAULTS_BACKLOG_BYTES"] ?? 80e6);
  const count = Math.floor(bytes / 2_000);
  const directory = mkdtempSync(join(tmpdir(), "backlog-"));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const empty = await AgentProcess.start(t, join(directory, "empty"));
  const { residentBytes, anonymousBytes } = empty;
  await empty.stop();
  const data = join(directory, "data");
  await queueUp(data, count, 2 * bytes);
  const bounds = [`outbox.bytesMax=${2 * bytes}`];
  const startedMs = performance.now();
  let agent = await AgentProcess.start(t, data, bounds);
  const ms = performance.now() - startedMs;
  const growth = agent.anonymousBytes - anonymousBytes;
  t.equal((await queueOf(agent)).updates, count);
  t.comment(`${bytes / 1e6} MB: ready in ${ms | 0} ms, ${(growth / 1e6) | 0} MB more`);
  t.ok(ms < 20_000 && growth < 40e6);
  await agent.kill();

  const broker = await startMosquitto(t);
  agent = await AgentProcess.start(t, data, [...bounds, ...uplinkTo(broker.url)]);
  let resident = 0;
  let anonymous = 0;
  await until(
    "the backlog to leave",
    async () => {
      resident = Math.max(resident, agent.residentBytes - residentBytes);
      anonymous = Math.max(anonymous, agent.anonymousBytes - anonymousBytes);
      return (await queueOf(agent)).updates === 0;
    },
    LONG_MS + bytes / 2e4,
  );
  const megabytes = [resident, anonymous].map((most) => Math.round(most / 1e6));
  t.comment(`while it left, ${megabytes[0]} MB more, of which ${megabytes[1]} MB of its own`);
  // LevelDB keeps 64 tables of 1 MB mapped at most (docs/decisions/memory.md).
  t.ok(anonymous < 40e6 && resident < 40e6 + 80e6, "nor while it is sent");
  await agent.stop();
});

const small = mkdtempSync(join(tmpdir(), "read-only-"));
const mount = (...words: string[]) => spawnSync("mount", [...words, small]).status === 0;
const mounted = mount("-t", "tmpfs", "-o", "size=32m", "tmpfs");
const noMount = { skip: mounted ? false : "needs root, to mount a tmpfs: run the tests with sudo" };
t.teardown(() => {
  if (mounted) spawnSync("umount", ["-l", small]);
  rmSync(small, { recursive: true, force: true });
});

t.test("a read-only file system is told; writable again, all is there", noMount, async (t) => {
  const data = join(small, "data");
  let agent = await AgentProcess.start(t, data);
  await publish(t, agent, 100, 1);
  await agent.kill();
  t.ok(mount("-o", "remount,ro"));
  const { code, stderr } = await agentMesh(["run", "--data", data, "--set", "api.port=0"]);
  t.equal(code, 1);
  t.match(stderr, /read-only.*--data/s);
  t.ok(mount("-o", "remount,rw"));
  agent = await AgentProcess.start(t, data);
  t.equal((await queueOf(agent)).updates, 100);
  await agent.kill();
});
