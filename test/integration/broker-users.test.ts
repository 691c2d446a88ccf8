// The embedded broker's users, permissions and TLS listener, with Mosquitto's own clients.
import { copyFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "node:tls";
import mqtt from "mqtt";
import t, { type Test } from "tap";
import { createBrokerGate } from "../../src/agent/broker-gate.ts";
import { resolveConfig } from "../../src/config/resolve.ts";
import type { KeyValueStore } from "../../src/platform/key-value-store.ts";
import { EmbeddedBroker } from "../../src/platform/mqtt/embedded-broker.ts";
import { readPasswordFile } from "../../src/platform/node/data-directory.ts";
import { nodeHasher } from "../../src/platform/node/hasher.ts";
import { scryptHasher } from "../../src/platform/node/scrypt-hasher.ts";
import { SystemClock } from "../../src/platform/node/system-clock.ts";
import { SystemRandom } from "../../src/platform/node/system-random.ts";
import { MemoryKeyValueStore } from "../../src/simulator/memory-key-value-store.ts";
import { VirtualClock } from "../../src/simulator/virtual-clock.ts";
import { Authority } from "../support/certificates.ts";
import { type KeptLog, keptLog } from "../support/kept-log.ts";
import { eventually, mosquittoClient, mosquittoMissing } from "../support/mosquitto.ts";

const skip = mosquittoMissing();

interface Running {
  readonly broker: EmbeddedBroker;
  readonly log: KeptLog;
  readonly taken: string[];
  readonly port: number;
  readonly tlsPort: number;
}

/** @param settings the keys under `mqtt.broker` */
async function start(
  t: Test,
  settings: object,
  store: KeyValueStore = new MemoryKeyValueStore(),
  clock: SystemClock | VirtualClock = new SystemClock(),
): Promise<Running> {
  const { broker: options } = resolveConfig({
    file: { name: "test", document: { mqtt: { broker: { port: 0, ...settings } } } },
  }).mqtt;
  const log = keptLog();
  const random = new SystemRandom();
  const broker = new EmbeddedBroker({
    ...options,
    tls: options.tls && { ...options.tls, host: options.tls.host ?? options.host, clock },
    gate: createBrokerGate(options, {
      passwords: scryptHasher,
      hasher: nodeHasher,
      random,
      clock,
      logger: log,
      readLine: readPasswordFile,
    }),
    memory: { store, clock: new SystemClock(), limits: options },
    logger: log,
  });
  const taken: string[] = [];
  t.teardown(() => broker.stop());
  await broker.start(({ topic, payload }, settle) => {
    taken.push(`${topic} ${Buffer.from(payload).toString()}`);
    settle();
  });
  const { url, tlsUrl } = broker.status();
  const portOf = (address: string | undefined): number =>
    Number(new URL(address ?? "x://h:0").port);
  return { broker, log, taken, port: portOf(url), tlsPort: portOf(tlsUrl) };
}

t.test("nobody is asked while everybody may do everything", async (t) => {
  const gateOf = (settings: object) => {
    const document = { mqtt: { broker: settings } };
    return createBrokerGate(resolveConfig({ file: { name: "test", document } }).mqtt.broker, {
      passwords: scryptHasher,
      hasher: nodeHasher,
      random: new SystemRandom(),
      clock: new SystemClock(),
      logger: keptLog(),
      readLine: readPasswordFile,
    });
  };
  t.equal(gateOf({}), undefined);
  t.ok(gateOf({ anonymous: { publish: ["sensors/#"] } }));
  t.ok(gateOf({ anonymous: { subscribe: [] } }));
  t.ok(gateOf({ tls: { certFile: "c", keyFile: "k", caFile: "a" }, users: [{ name: "a" }] }));
});

const publish = (port: number, topic: string, ...args: string[]) =>
  mosquittoClient("mosquitto_pub", port, ["-V", "5", "-q", "1", "-t", topic, "-m", "1", ...args]);

t.test("users and what they may do", { skip }, async (t) => {
  const hash = await scryptHasher.hash(Buffer.from("right"));
  const file = join(t.testdir(), "hash");
  writeFileSync(file, `${hash}\n`);
  const running = await start(t, {
    users: [
      { name: "pump", passwordHash: hash, publish: ["sensors/%u/#"], subscribe: ["commands/%c/+"] },
      { name: "admin", passwordFile: file, publish: ["#"], subscribe: ["#"] },
    ],
  });
  const { port, taken, log, broker } = running;
  const pump = ["-u", "pump", "-P", "right", "-i", "p1"];

  t.test("only with the right password", async (t) => {
    t.match(await publish(port, "sensors/pump/a", ...pump), { status: 0 });
    t.same(taken.splice(0), ["sensors/pump/a 1"]);
    for (const [credentials, reason] of [
      [["-u", "pump", "-P", "wrong"], /Bad User Name or Password|bad user name or password/i],
      [["-u", "nobody", "-P", "right"], /bad user name or password/i],
      [["-u", "pump"], /bad user name or password/i],
      [[], /not authori[sz]ed/i],
    ] as const)
      for (const version of ["5", "311"]) {
        const run = await publish(port, "sensors/pump/a", ...credentials, "-V", version);
        t.not(run.status, 0);
        t.match(run.output, reason, `${credentials.join(" ")}, MQTT ${version}`);
      }
    t.same(taken, []);
    t.equal(broker.status().refusedConnections, 8);
    t.notMatch(JSON.stringify(log.lines), /wrong"|right/, "no password in the log");
  });

  t.test("guessing is slowed down, others are not", async (t) => {
    for (let n = 0; n < 5; n++) await publish(port, "x", "-u", "pump", "-P", `guess ${n}`);
    const late = await publish(port, "x", "-u", "pump", "-P", "guess");
    t.match(late.output, /unavailable/i);
    t.match(await publish(port, "sensors/pump/a", ...pump), { status: 0 }, "who is known");
    t.match(await publish(port, "any", "-u", "admin", "-P", "right"), { status: 0 });
    t.same(taken.splice(0), ["sensors/pump/a 1", "any 1"]);
  });

  t.test("publishing is permitted per topic", async (t) => {
    const denied = await publish(port, "sensors/other/a", ...pump);
    t.match(denied.output, /not authori[sz]ed/i, "0x87 in the PUBACK of MQTT 5");
    for (const qos of ["0", "1", "2"]) {
      const run = await publish(port, "sensors/other/a", ...pump, "-V", "311", "-q", qos);
      t.equal(run.status, 0, `MQTT 3.1.1 is thanked as Mosquitto does, QoS ${qos}`);
    }
    const again = await publish(port, "sensors/pump", ...pump, "-V", "311", "-q", "2");
    t.equal(again.status, 0);
    t.same(taken.splice(0), ["sensors/pump 1"], "what is not permitted goes nowhere");
    t.ok((broker.status().denied ?? 0) >= 4);
    t.ok(log.lines.some(({ message }) => message === "MQTT publish not permitted"));
  });

  t.test("so is subscribing, in sessions that stay too", async (t) => {
    const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, {
      username: "pump",
      password: "right",
      clientId: "p1",
      protocolVersion: 5,
      clean: false,
      properties: { sessionExpiryInterval: 600 },
      reconnectPeriod: 0,
    });
    t.teardown(() => client.end(true));
    const granted = await new Promise<number[]>((resolve) => {
      client.subscribe(
        {
          "commands/p1/+": { qos: 1 },
          "commands/#": { qos: 1 },
          "#": { qos: 1 },
          "+/+/+": { qos: 1 },
        },
        (_error, _granted, packet) => resolve((packet?.granted as number[]) ?? []),
      );
    });
    t.same(granted, [1, 0x87, 0x87, 0x87]);
    t.match(
      broker.status().remembered,
      { sessions: 1, subscriptions: 1 },
      "refused ones are not kept",
    );
    const heard: string[] = [];
    client.on("message", (topic) => heard.push(topic));
    const admin = ["-u", "admin", "-P", "right"];
    await publish(port, "commands/p2/go", ...admin);
    await publish(port, "commands/p1/go", ...admin);
    await eventually(() => heard.length > 0, "a command");
    t.same(heard, ["commands/p1/go"]);
  });

  t.test("a name that would widen a filter does not", async (t) => {
    const run = await mosquittoClient("mosquitto_sub", port, [
      "-V",
      "5",
      "-u",
      "pump",
      "-P",
      "right",
      "-i",
      "#",
      "-t",
      "commands/#/x",
      "-W",
      "2",
      "-E",
    ]);
    t.not(run.status, 0);
    const wide = await mosquittoClient("mosquitto_sub", port, [
      "-V",
      "5",
      "-u",
      "pump",
      "-P",
      "right",
      "-i",
      "+",
      "-t",
      "commands/+/x",
      "-W",
      "2",
      "-E",
    ]);
    t.match(wide.output, /not authori[sz]ed|denied|rejected/i);
  });

  t.test("a will is a publish", async (t) => {
    const run = await publish(port, "sensors/pump/a", ...pump, "--will-topic", "alarm");
    t.match(run.output, /not authori[sz]ed/i);
  });
});

t.test("anonymous clients beside users, with less", { skip }, async (t) => {
  const passwordHash = await scryptHasher.hash(Buffer.from("right"));
  const { port, taken } = await start(t, {
    users: [{ name: "a", passwordHash, publish: ["#"] }],
    anonymous: { allow: true, publish: ["open/%c"], subscribe: [] },
  });
  await publish(port, "open/me", "-i", "me");
  await publish(port, "open/you", "-i", "me");
  t.same(taken, ["open/me 1"]);
});

t.test("TLS, and certificates in place of passwords", { skip }, async (t) => {
  const directory = t.testdir();
  const authority = new Authority(directory);
  const stranger = new Authority(directory, "stranger");
  const server = authority.issue("broker");
  const sensor = authority.issue("sensor");
  const foreign = stranger.issue("sensor", "foreign");
  const clock = new VirtualClock();
  const { tlsPort, taken, log, broker } = await start(
    t,
    {
      plain: false,
      host: "0.0.0.0",
      users: [{ name: "sensor", publish: ["%u/#"] }],
      tls: {
        port: 0,
        certFile: server.cert,
        keyFile: server.key,
        caFile: authority.file,
        requireClientCertificate: true,
      },
    },
    new MemoryKeyValueStore(),
    clock,
  );
  t.match(broker.status(), { connected: true, url: `mqtts://0.0.0.0:${tlsPort}` });
  const tls = ["--cafile", authority.file];
  const as = ({ cert, key }: { cert: string; key: string }) => [
    ...tls,
    "--cert",
    cert,
    "--key",
    key,
  ];
  t.match(await publish(tlsPort, "sensor/a", ...as(sensor)), { status: 0 });
  await publish(tlsPort, "other/a", ...as(sensor));
  t.same(taken, ["sensor/a 1"], "the certificate's common name is the user");
  t.not((await publish(tlsPort, "sensor/a", ...tls)).status, 0, "none shown");
  t.not(
    (await publish(tlsPort, "sensor/a", ...as(foreign))).status,
    0,
    "by somebody else's authority",
  );
  t.not((await publish(tlsPort, "sensor/a", "--cafile", stranger.file)).status, 0);
  const bare = await publish(tlsPort, "sensor/a");
  t.not(bare.status, 0, "without TLS");
  t.same(taken, ["sensor/a 1"]);

  // A renewed certificate counts without a restart; a broken one leaves the old in force.
  const subject = async (): Promise<string> => {
    const socket = connect({ host: "127.0.0.1", port: tlsPort, rejectUnauthorized: false });
    socket.on("error", () => undefined);
    await new Promise<void>((resolve) => socket.once("secureConnect", resolve));
    const name = String(socket.getPeerCertificate().subject.CN);
    socket.destroy();
    return name;
  };
  t.equal(await subject(), "broker");
  const renewed = authority.issue("renewed");
  copyFileSync(renewed.cert, server.cert);
  await clock.advance(11_000);
  t.match(log.lines.at(-1), { level: "error", fields: { reason: /mqtt\.broker\.tls\.keyFile/ } });
  t.equal(await subject(), "broker", "certificate and key do not match yet");
  copyFileSync(renewed.key, server.key);
  utimesSync(server.key, 1, 1);
  await clock.advance(11_000);
  t.equal(await subject(), "renewed");
  rmSync(server.cert);
  await clock.advance(11_000);
  t.equal(await subject(), "renewed");
});

t.test("files that can not be used are named with their setting", async (t) => {
  const directory = t.testdir({ junk: "no PEM" });
  const authority = new Authority(directory);
  const [one, two] = [authority.issue("one"), authority.issue("two")];
  const junk = join(directory, "junk");
  const good = { port: 0, certFile: one.cert, keyFile: one.key };
  for (const [change, said] of [
    [{ certFile: "/nowhere.pem" }, /tls\.certFile: can not read \/nowhere\.pem: no such file/],
    [{ keyFile: "/nowhere.pem" }, /tls\.keyFile: can not read/],
    [{ caFile: "/nowhere.pem" }, /tls\.caFile: can not read/],
    [{ certFile: junk }, /tls\.certFile: .*junk holds no PEM certificate/],
    [{ keyFile: junk }, /tls\.keyFile: .*junk holds no PEM key/],
    [{ caFile: junk }, /tls\.caFile: .*junk holds no PEM certificate/],
    [{ keyFile: two.key }, /tls\.keyFile: the key does not belong to the certificate/],
  ] as const)
    await t.rejects(start(t, { tls: { ...good, ...change } }), { message: said });
  await t.rejects(start(t, { users: [{ name: "a", passwordFile: junk }] }), {
    message: /mqtt\.broker\.users\.0\.passwordFile: .*junk does not begin with a hash/,
  });
});

t.test("a publisher is thanked when the session's disk is", async (t) => {
  let hold: Promise<void> = Promise.resolve();
  let writes = 0;
  class HeldStore extends MemoryKeyValueStore {
    override async write(...args: Parameters<KeyValueStore["write"]>): Promise<void> {
      writes++;
      await hold;
      await super.write(...args);
    }
  }
  const store = new HeldStore();
  const { broker, port } = await start(t, {}, store);
  const connect = (clientId: string, clean: boolean) =>
    mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, { clientId, clean, reconnectPeriod: 0 });
  const away = await connect("away", false);
  await away.subscribeAsync("orders/#", { qos: 1 });
  await away.endAsync();
  await eventually(() => broker.status().clients === 0);
  const publisher = await connect("publisher", true);
  t.teardown(() => publisher.end(true));
  const settled: string[] = [];
  const send = (topic: string, retain = false) =>
    publisher
      .publishAsync(topic, "1", { qos: 1, retain })
      .then(() => settled.push(topic))
      .catch(() => undefined);
  await new Promise((resolve) => setTimeout(resolve, 500));
  const before = writes;
  await send("sensors/a");
  t.same(settled.splice(0), ["sensors/a"]);
  t.equal(writes, before, "a reading that no session asked for writes nothing here");
  const gate = Promise.withResolvers<void>();
  hold = gate.promise;
  const sent = [send("orders/1"), send("sensors/b"), send("state", true)];
  await eventually(() => writes > before, "a write");
  t.same(settled, [], "nor anything that came after it, to keep the order");
  t.equal(store.disk.range({ gte: "b/q/", lt: "b/q0", limit: 9 }).length, 0);
  gate.resolve();
  await Promise.all(sent);
  t.same(settled, ["orders/1", "sensors/b", "state"]);
  t.equal(store.disk.range({ gte: "b/q/", lt: "b/q0", limit: 9 }).length, 1);
  t.equal(store.disk.range({ gte: "b/r/", lt: "b/r0", limit: 9 }).length, 1);
});

t.test("what waited is sent first, no faster than its receiver takes it", async (t) => {
  const { broker, port } = await start(t, {});
  const url = `mqtt://127.0.0.1:${port}`;
  const session = {
    clientId: "slow",
    clean: false,
    protocolVersion: 5,
    reconnectPeriod: 0,
  } as const;
  const properties = { sessionExpiryInterval: 600, receiveMaximum: 7 };
  const away = await mqtt.connectAsync(url, { ...session, properties });
  await away.subscribeAsync("#", { qos: 2 });
  await away.endAsync();
  await eventually(() => broker.status().clients === 0);
  const publisher = await mqtt.connectAsync(url, { reconnectPeriod: 0 });
  t.teardown(() => publisher.end(true));
  const send = (n: number) => publisher.publishAsync("x", String(n), { qos: n % 3 === 0 ? 2 : 1 });
  for (let n = 0; n < 300; n++) await send(n);

  const heard: number[] = [];
  let unacknowledged = 0;
  let most = 0;
  const client = mqtt.connect(url, { ...session, properties });
  t.teardown(() => client.end(true));
  // On the wire: MQTT.js tells of a QoS 2 message only when it has been released.
  client.on("packetreceive", (packet) => {
    if (packet.cmd !== "publish") return;
    most = Math.max(most, ++unacknowledged);
    heard.push(Number(packet.payload.toString()));
  });
  client.on("packetsend", ({ cmd }) => {
    if (cmd === "puback" || cmd === "pubcomp") unacknowledged--;
  });
  client.handleMessage = (_packet, done) => setImmediate(done);
  await eventually(() => heard.length > 20, "the first of the backlog");
  t.ok(heard.length < 300, "it is still under way");
  for (let n = 300; n < 400; n++) await send(n);
  await eventually(() => heard.length >= 400, "everything");
  await eventually(() => broker.status().remembered?.queuedMessages === 0, "an empty queue");
  t.same(
    heard,
    Array.from({ length: 400 }, (_, n) => n),
    "in order, each once, the new after the old",
  );
  t.ok(most <= 7, `${most} at once`);
  await send(400);
  await eventually(() => heard.length === 401, "what comes when nothing waits");

  // A receiver that goes away in the middle of it finds the rest at its return.
  await client.endAsync();
  await eventually(() => broker.status().clients === 1);
  for (let n = 401; n < 500; n++) await send(n);
  const brief = mqtt.connect(url, { ...session, properties });
  brief.handleMessage = () => undefined;
  await eventually(() => brief.connected);
  brief.stream.destroy();
  await eventually(() => broker.status().clients === 1);
  const later: number[] = [];
  const back = mqtt.connect(url, { ...session, properties });
  t.teardown(() => back.end(true));
  back.on("packetreceive", (packet) => {
    if (packet.cmd === "publish") later.push(Number(packet.payload.toString()));
  });
  await eventually(() => later.length >= 99, "the rest");
  t.same(
    later,
    Array.from({ length: 99 }, (_, n) => 401 + n),
  );
});
