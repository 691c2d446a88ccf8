// The edge node on a real broker, with a host that checks every number, and as a process of its own.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import mqtt from "mqtt";
import t, { type Test } from "tap";
import type { SparkplugUplinkOptions } from "../../src/platform/mqtt/sparkplug/sparkplug-uplink.ts";
import type { SendOutcome } from "../../src/platform/uplink-connection.ts";
import { MemoryKeyValueStore } from "../../src/simulator/memory-key-value-store.ts";
import { outbound, Witness } from "../conformance/uplink-connection.ts";
import { AgentProcess, until } from "../support/agent-process.ts";
import { fakeBroker, welcome } from "../support/fake-broker.ts";
import { freePort } from "../support/free-port.ts";
import { keptLog } from "../support/kept-log.ts";
import { eventually, mosquittoMissing, startMosquitto, subscribe } from "../support/mosquitto.ts";
import { SparkplugHost } from "../support/sparkplug-host.ts";
import { sparkplugUplink } from "../support/sparkplug-uplink.ts";

const skip = mosquittoMissing();

async function connected(
  t: Test,
  options: Pick<SparkplugUplinkOptions, "urls"> & Partial<SparkplugUplinkOptions>,
  store = new MemoryKeyValueStore(),
) {
  const log = keptLog();
  const connection = sparkplugUplink(options, { log, store });
  t.teardown(() => connection.disconnect());
  const witness = new Witness();
  witness.connect(connection);
  return { connection, witness, log, store };
}

const bdSeq = (seen: { payload: { metrics: readonly { name?: string; value: unknown }[] } }) =>
  seen.payload.metrics.find(({ name }) => name === "bdSeq")?.value;

t.test(
  "certificates: QoS, retain, bdSeq with every connect, and an orderly death",
  { skip },
  async (t) => {
    const broker = await startMosquitto(t);
    const host = await SparkplugHost.connect(t, broker.url);
    const store = new MemoryKeyValueStore();
    for (const protocol of ["5", "3.1.1"] as const) {
      const { connection, witness } = await connected(t, { urls: [broker.url], protocol }, store);
      await witness.until(1);
      connection.send(outbound(1), () => undefined);
      await eventually(() => host.values("sensors/a").length > 0);
      await connection.disconnect();
      await host.caughtUp();
    }
    t.same(host.faults, []);
    t.same(host.of("NBIRTH").map(bdSeq), [0, 0, 1], "the second birth declares a new metric");
    t.same(new Set(host.of("NDEATH").map(bdSeq)), new Set([0, 1]));
    t.ok(host.seen.every(({ retain }) => !retain));
    t.ok(host.seen.filter(({ verb }) => verb !== "NDEATH").every(({ qos }) => qos === 0));
  },
);

t.test(
  "a host's commands: births again for all who ask, writes passed on, garbage survived",
  { skip },
  async (t) => {
    const broker = await startMosquitto(t);
    const host = await SparkplugHost.connect(t, broker.url);
    const { connection, witness, log } = await connected(t, {
      urls: [broker.url],
      deviceLevels: 1,
    });
    await witness.until(1);
    connection.send(outbound(1, { stream: "room/temp" }), () => undefined);
    await eventually(() => host.of("DDATA").length === 1);
    const births = host.of("NBIRTH").length;
    for (const garbage of ["", "\xff\xff\xff\xff", "{}"])
      host.raw("spBv1.0/plant/NCMD/edge-1", garbage);
    host.rebirth();
    await eventually(() => host.of("NBIRTH").length > births);
    await eventually(() => host.of("DBIRTH").length >= 2);
    t.equal(host.of("DBIRTH").at(-1)?.payload.metrics[0]?.value, 1, "with the current value");
    host.command("DCMD", [{ name: "set", type: "Double", value: 21.5 }], "room");
    await witness.until(2);
    t.equal(witness.told[1], "room/set 21.5");
    for (let n = 0; n < 200; n++) host.rebirth();
    await host.caughtUp();
    connection.send(outbound(2, { stream: "room/temp" }), () => undefined);
    await eventually(() => host.of("DDATA").length === 2);
    t.ok(host.of("NBIRTH").length < 200, "many requests at once do not make as many births");
    t.same(host.faults, []);
    t.ok(log.lines.some(({ message }) => message === "Sparkplug command can not be read"));
  },
);

t.test("births wait for the primary host, and end with it", { skip }, async (t) => {
  const broker = await startMosquitto(t);
  const host = await SparkplugHost.connect(t, broker.url);
  await host.state(false, 100);
  const { connection, witness } = await connected(t, { urls: [broker.url], primaryHost: "scada" });
  await eventually(() => witness.waiting.length > 0);
  t.match(witness.waiting, [/waiting for primary host scada/]);
  await host.state(true, 99);
  await host.caughtUp();
  t.same([witness.told, host.seen], [[], []], "an older word does not count");
  await host.state(true, 100);
  await witness.until(1);
  await eventually(() => host.of("NBIRTH").length === 1);
  await host.state(false, 99);
  await host.caughtUp();
  t.same(witness.told, ["up"]);
  await host.state(false, 101);
  await witness.until(2);
  await eventually(() => host.of("NDEATH").length > 0, "a death certificate");
  t.same(witness.told, ["up", "down"]);
  await host.state(true, 102);
  witness.connect(connection);
  await witness.until(3);
  t.same(host.faults, []);
});

t.test("with several brokers it goes to the one where the primary host is", { skip }, async (t) => {
  const [first, second] = [await startMosquitto(t), await startMosquitto(t)];
  const absent = await SparkplugHost.connect(t, first.url);
  await absent.state(false);
  const host = await SparkplugHost.connect(t, second.url);
  await host.state(true);
  const urls = [first.url, second.url] as const;
  const { connection, witness } = await connected(t, { urls, primaryHost: "scada" });
  await witness.until(1);
  t.same(witness.told, ["down"], "offline at the first");
  witness.connect(connection);
  await witness.until(2);
  t.same(witness.told, ["down", "up"]);
  await eventually(() => host.of("NBIRTH").length === 1);
  t.equal(absent.seen.length, 0);
});

t.test(
  "QoS 0 is settled by the answer to a later ping, QoS 1 by its acknowledgement",
  { skip },
  async (t) => {
    const broker = await startMosquitto(t, { lines: ["max_packet_size 2000"] });
    const host = await SparkplugHost.connect(t, broker.url);
    for (const qos of [0, 1] as const) {
      const { connection, witness } = await connected(t, {
        urls: [broker.url],
        qos,
        protocol: "5",
      });
      await witness.until(1);
      const outcomes: SendOutcome[] = [];
      const settle = (outcome: SendOutcome) => outcomes.push(outcome);
      const before = host.values("sensors/a").length;
      for (let n = 1; n <= 5; n++) connection.send(outbound(n), settle);
      connection.send(outbound(6, { payload: Buffer.alloc(3_000, 65) }), settle);
      t.equal(outcomes.length, 0);
      await eventually(() => outcomes.length === 6);
      t.equal(outcomes.filter(({ kind }) => kind === "acknowledged").length, 5);
      t.match(
        outcomes.find(({ kind }) => kind === "refused"),
        { permanent: true, reason: /2000/ },
      );
      await eventually(() => host.values("sensors/a").length === before + 5);
      await connection.disconnect();
      await host.caughtUp();
    }
    t.same(host.faults, []);
  },
);

t.test("a broker that forbids the subscriptions is named as the fault", async (t) => {
  const broker = await fakeBroker(t, (packet, { send }) => {
    if (packet.cmd === "connect") send(welcome());
    else if (packet.cmd === "subscribe")
      send({ cmd: "suback", messageId: packet.messageId ?? 0, granted: [1, 135] });
  });
  const connection = sparkplugUplink({ urls: [broker.url] });
  const reasons: string[] = [];
  connection.connect({
    up: () => reasons.push("up"),
    down: (reason) => reasons.push(reason),
    command: () => undefined,
  });
  await eventually(() => reasons.length > 0);
  t.match(reasons, [/refused a subscription of edge node plant\/edge-1/]);
  await connection.disconnect();
});

t.test("a broker that never answers the subscriptions is given up", async (t) => {
  const broker = await fakeBroker(t, (packet, { send }) => {
    if (packet.cmd === "connect") send(welcome());
  });
  const connection = sparkplugUplink({ urls: [broker.url], connectTimeoutMs: 100 });
  const reasons: string[] = [];
  connection.connect({
    up: () => reasons.push("up"),
    down: (reason) => reasons.push(reason),
    command: () => undefined,
  });
  await eventually(() => reasons.length > 0);
  t.match(reasons, [/no SUBACK within 100 ms/]);
  await connection.disconnect();
});

t.test("births larger than the broker takes are named as the fault", async (t) => {
  const broker = await fakeBroker(t, (packet, { send }) => {
    if (packet.cmd === "connect") send(welcome({ maximumPacketSize: 60 }));
    else if (packet.cmd === "subscribe")
      send({ cmd: "suback", messageId: packet.messageId ?? 0, granted: [1, 1] });
  });
  const connection = sparkplugUplink({ urls: [broker.url] });
  const reasons: string[] = [];
  connection.connect({
    up: () => undefined,
    down: (reason) => reasons.push(reason),
    command: () => undefined,
  });
  await eventually(() => reasons.length > 0);
  t.match(reasons, [
    /birth certificate of \d+ bytes is over the broker's maximum packet size \(60\)/,
  ]);
  await connection.disconnect();
});

const uplinkSet = (url: string, more: object = {}): string => {
  const uplink = { name: "scada", kind: "sparkplug", url, groupId: "plant", edgeNodeId: "edge-1" };
  return `uplinks=${JSON.stringify([{ ...uplink, retryMinMs: 50, retryMaxMs: 200, ...more }])}`;
};

t.test(
  "an agent: outage and replay, commands to the local broker, kill -9 and the will",
  { skip },
  async (t) => {
    const port = await freePort();
    let broker = await startMosquitto(t, { port });
    const host = await SparkplugHost.connect(t, broker.url);
    const data = mkdtempSync(join(tmpdir(), "sparkplug-"));
    t.teardown(() => rmSync(data, { recursive: true, force: true }));
    // With QoS 0 a broker that came back drops what nobody has subscribed to yet: the agent waits for its host.
    const sets = [uplinkSet(broker.url, { primaryHost: "scada" })];
    await host.state(true);
    const agent = await AgentProcess.start(t, data, sets);
    const local = await mqtt.connectAsync(`mqtt://127.0.0.1:${agent.mqttPort}`);
    t.teardown(() => local.endAsync(true));
    const publish = async (from: number, to: number): Promise<void> => {
      for (let n = from; n <= to; n++)
        await local.publishAsync("sensors/room", JSON.stringify({ temp: n }), { qos: 1 });
    };
    const temps = () => host.values("sensors/room/temp");
    // What was observed before the birth is history, however soon it is sent.
    await eventually(() => host.of("NBIRTH").length > 0, "the birth");
    await publish(1, 20);
    await eventually(() => temps().length === 20, "the first twenty");
    t.ok(temps().every(({ historical }) => !historical));

    await broker.kill();
    await publish(21, 320);
    broker = await startMosquitto(t, { port });
    await host.listening();
    await host.state(true);
    await eventually(() => temps().length >= 320, "the backlog");
    const sequence = Array.from({ length: 320 }, (_, n) => n + 1);
    const values = temps().map(({ value }) => Number(value));
    t.same(new Set(values), new Set(sequence), "nothing is missing");
    t.ok(
      temps()
        .filter(({ value }) => Number(value) > 20)
        .every(({ historical }) => historical),
      "what waited through the outage is historical",
    );
    await publish(321, 322);
    await eventually(() => temps().at(-1)?.value === 322);
    t.equal(temps().at(-1)?.historical, false);

    const commands = await subscribe(t, agent.mqttPort, "commands/#");
    host.command("NCMD", [{ name: "sensors/fan", type: "Boolean", value: true }]);
    await eventually(() => commands.lines.includes("commands/sensors/fan true"));
    await commands.stop();

    const born = bdSeq(host.of("NBIRTH").at(-1)!);
    await agent.kill();
    await eventually(() => host.of("NDEATH").length > 0, "the will");
    t.equal(bdSeq(host.of("NDEATH").at(-1)!), born);

    const deaths = host.of("NDEATH").length;
    const again = await AgentProcess.start(t, data, sets);
    await eventually(() => bdSeq(host.of("NBIRTH").at(-1)!) !== born, "the next birth");
    t.equal(bdSeq(host.of("NBIRTH").at(-1)!), (Number(born) + 1) % 256);
    const birth = host
      .of("NBIRTH")
      .at(-1)
      ?.payload.metrics.map(({ name }) => name);
    t.ok(birth?.includes("sensors/room/temp"), "the first birth after a restart knows the metrics");
    const status = await again.get<{ items: { kind: string; state: string }[] }>("/v1/uplinks");
    t.match(status.items[0], { kind: "sparkplug", state: "up" });
    await again.stop();
    await eventually(() => host.of("NDEATH").length > deaths, "an orderly death");
    t.same(host.faults, []);
    await until("the host to stop", () => host.stop().then(() => true));
  },
);
