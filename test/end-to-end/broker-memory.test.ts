// What the embedded broker remembers when the agent is killed, and whom it lets in, seen with Mosquitto's own
// clients.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import t from "tap";
import { AgentProcess, agentMesh, command } from "../support/agent-process.ts";
import { Authority } from "../support/certificates.ts";
import { eventually, mosquittoClient, mosquittoMissing } from "../support/mosquitto.ts";

const skip = mosquittoMissing();

interface Mappings {
  readonly broker: { readonly remembered: Readonly<Record<string, number>> };
}

const remembered = async (agent: AgentProcess) =>
  (await agent.get<Mappings>("/v1/mqtt/mappings?limit=1")).broker.remembered;

for (const version of ["5", "311"]) {
  // A session that stays: in MQTT 5 as long as it says, in 3.1.1 when it is not clean.
  const staying = version === "5" ? ["-V", "5", "-c", "-x", "3600"] : ["-V", "311", "-c"];
  t.test(
    `MQTT ${version}: a session, its queue and a retained message survive kill -9`,
    { skip },
    async (t) => {
      const data = t.testdir();
      let agent = await AgentProcess.start(t, data);
      const publish = (...args: string[]) =>
        mosquittoClient("mosquitto_pub", agent.mqttPort, ["-V", version, "-q", "1", ...args]);
      const receive = (count: number, ...args: string[]) =>
        mosquittoClient("mosquitto_sub", agent.mqttPort, [
          "-i",
          "display",
          ...staying,
          "-F",
          "%t %p %q %r",
          "-W",
          "10",
          "-C",
          String(count),
          ...args,
        ]);
      // -E: end once the subscription stands.
      const subscribed = await mosquittoClient("mosquitto_sub", agent.mqttPort, [
        "-i",
        "display",
        ...staying,
        "-q",
        "1",
        "-t",
        "orders/#",
        "-E",
      ]);
      t.equal(subscribed.status, 0, subscribed.output);
      for (let n = 1; n <= 20; n++)
        t.equal((await publish("-t", "orders/a", "-m", `order ${n}`)).status, 0);
      t.equal((await publish("-t", "lamp/state", "-m", "on", "-r")).status, 0);
      t.match(await remembered(agent), { sessions: 1, queuedMessages: 20, retained: 1 });
      await agent.kill();

      agent = await AgentProcess.start(t, data);
      t.match(await remembered(agent), { sessions: 1, queuedMessages: 20, retained: 1 });
      const { output } = await receive(20, "-q", "1", "-t", "orders/#");
      t.same(
        output.trim().split("\n"),
        Array.from({ length: 20 }, (_, n) => `orders/a order ${n + 1} 1 0`),
        "everything, in order, though nobody published again",
      );
      const lamp = await mosquittoClient("mosquitto_sub", agent.mqttPort, [
        "-V",
        version,
        "-q",
        "1",
        "-t",
        "lamp/#",
        "-F",
        "%t %p %q %r",
        "-W",
        "10",
        "-C",
        "1",
      ]);
      t.equal(lamp.output.trim(), "lamp/state on 1 1");
      await eventually(
        async () => (await remembered(agent))["queuedMessages"] === 0,
        "an empty queue",
      );

      t.equal((await publish("-t", "lamp/state", "-n", "-r")).status, 0, "an empty one forgets it");
      await agent.stop();
      agent = await AgentProcess.start(t, data);
      t.match(await remembered(agent), { sessions: 1, queuedMessages: 0, retained: 0 });
      t.equal((await agent.stop()).code, 0);
      t.notMatch(agent.log, /"level":"(warn|error)"/);
    },
  );
}

t.test("the will of a client that was connected when the agent was killed", { skip }, async (t) => {
  const data = t.testdir();
  let agent = await AgentProcess.start(t, data);
  await mosquittoClient("mosquitto_sub", agent.mqttPort, [
    "-i",
    "watch",
    "-V",
    "5",
    "-c",
    "-x",
    "3600",
    "-q",
    "1",
    "-t",
    "gone/#",
    "-E",
  ]);
  const connected = (...args: string[]) => {
    const child = spawn("mosquitto_sub", [
      "-h",
      "127.0.0.1",
      "-p",
      String(agent.mqttPort),
      "-V",
      "5",
      "-t",
      "x",
      ...args,
    ]);
    t.teardown(() => child.kill("SIGKILL"));
    return child;
  };
  const children = [
    connected(
      "-i",
      "pump",
      "--will-topic",
      "gone/pump",
      "--will-payload",
      "lost",
      "--will-qos",
      "1",
    ),
    connected("-i", "polite", "--will-topic", "gone/polite", "--will-payload", "lost"),
  ];
  const clients = async () =>
    (await agent.get<{ broker: { clients: number } }>("/v1/mqtt/mappings?limit=1")).broker.clients;
  await eventually(async () => (await clients()) === 2, "two clients");
  const [pump, polite] = children;
  polite?.kill("SIGTERM");
  await eventually(async () => (await clients()) === 1, "one that said goodbye");
  await agent.kill();
  pump?.kill("SIGKILL");
  if (pump !== undefined) await once(pump, "close");

  agent = await AgentProcess.start(t, data);
  const { output } = await mosquittoClient("mosquitto_sub", agent.mqttPort, [
    "-i",
    "watch",
    "-V",
    "5",
    "-c",
    "-x",
    "3600",
    "-q",
    "1",
    "-t",
    "gone/#",
    "-F",
    "%t %p",
    "-W",
    "3",
  ]);
  t.match(output, /^gone\/pump lost$/m);
  t.notMatch(output, /polite/, "a goodbye takes the will along");
  await agent.kill();
  agent = await AgentProcess.start(t, data);
  t.equal((await remembered(agent))["queuedMessages"], 0, "it is published once");
});

t.test("users with hashed passwords, over TLS", { skip }, async (t) => {
  const hash = (input: string, ...more: string[]) =>
    spawnSync(command, ["mqtt", "hash-password", ...more], { input, encoding: "utf8" });
  const made = hash("s3cret\nand what follows\n");
  t.equal(made.status, 0, made.stderr);
  t.match(made.stdout, /^\$scrypt\$ln=14,r=8,p=5\$\S{22}\$\S{43}\n$/);
  const json = JSON.parse(hash("s3cret", "--json").stdout) as { passwordHash: string };
  t.match(json.passwordHash, /^\$scrypt\$/);
  t.match(hash("\n"), { status: 1, stderr: /the password is empty/ });
  t.match(hash("", "s3cret"), { status: 2, stderr: /too many arguments/ });

  const directory = t.testdir({ data: {}, other: {} });
  const authority = new Authority(directory);
  const { cert, key } = authority.issue("broker");
  const user = { name: "a", passwordHash: made.stdout.trim(), publish: ["sensors/#"] };
  const agent = await AgentProcess.start(t, join(directory, "data"), [
    "mqtt.broker.plain=false",
    "mqtt.broker.host=0.0.0.0",
    `mqtt.broker.tls=${JSON.stringify({ port: 0, certFile: cert, keyFile: key })}`,
    `mqtt.broker.users=${JSON.stringify([user])}`,
  ]);
  const publish = (...args: string[]) =>
    mosquittoClient("mosquitto_pub", agent.mqttPort, [
      "-q",
      "1",
      "-t",
      "sensors/a",
      "-m",
      "1",
      ...args,
    ]);
  const tls = ["--cafile", authority.file];
  t.match(await publish(...tls, "-u", "a", "-P", "s3cret"), { status: 0 });
  t.not((await publish(...tls, "-u", "a", "-P", "secret")).status, 0);
  t.not((await publish(...tls)).status, 0);
  t.not((await publish("-u", "a", "-P", "s3cret")).status, 0);
  t.match(await agent.get("/v1/queue"), { updates: 1 });
  t.match(await agent.get("/v1/mqtt/mappings?limit=1"), { broker: { refusedConnections: 2 } });
  t.match(await agent.get("/v1/config"), {
    mqtt: { broker: { users: [{ name: "a", passwordHash: "(redacted)" }] } },
  });
  const metrics = await (await agent.ask("/metrics")).text();
  t.match(metrics, /^agent_mesh_mqtt_connections_refused_total 2$/m);
  t.notMatch(agent.log, /s3cret|scrypt/);

  const open = await agentMesh([
    "run",
    "--data",
    join(directory, "other"),
    "--set",
    "mqtt.broker.host=0.0.0.0",
  ]);
  t.match(open, {
    code: 2,
    stderr: /mqtt\.broker\.host 0\.0\.0\.0 .*mqtt\.broker\.anonymous\.allow=true/,
  });
});
