import { spawn, spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t, { type Test } from "tap";
import { MqttUplink, type MqttUplinkOptions } from "../../src/platform/mqtt/mqtt-uplink.ts";
import type { Marks, SendOutcome } from "../../src/platform/uplink-connection.ts";
import { outbound, Witness } from "../conformance/uplink-connection.ts";
import { fakeBroker, welcome } from "../support/fake-broker.ts";
import {
  eventually,
  mosquittoClient,
  mosquittoMissing,
  startMosquitto,
  subscribe,
} from "../support/mosquitto.ts";

const skip = mosquittoMissing();

function options(url: string, over: Partial<MqttUplinkOptions> = {}): MqttUplinkOptions {
  return {
    url,
    agentId: "agent-1",
    clientId: "agent-1",
    protocol: "auto",
    topicPrefix: "fleet",
    envelope: "auto",
    sync: "off",
    keepaliveSeconds: 30,
    connectTimeoutMs: 5_000,
    inFlightMax: 100,
    will: Buffer.from("lost"),
    ...over,
  };
}

/** Connects and tells how it went. */
async function attempt(t: Test, url: string, over: Partial<MqttUplinkOptions> = {}) {
  const connection = new MqttUplink(options(url, over));
  t.teardown(() => connection.disconnect());
  const told: string[] = [];
  connection.connect({
    up: ({ inFlightMax }) => told.push(`up ${inFlightMax}`),
    down: (reason) => told.push(`down ${reason}`),
    command: (topic, payload) => told.push(`${topic} ${Buffer.from(payload).toString()}`),
  });
  await eventually(() => told.length > 0, "an answer");
  return { connection, told };
}

/** This program as an agent that connects and is killed. */
if (process.argv[2] === "connect") {
  const connection = new MqttUplink(options(process.argv[3] ?? ""));
  new Witness().connect(connection);
  setTimeout(() => connection.publishState(Buffer.from("here")), 100);
} else {
  t.test("with Mosquitto", { skip }, async (t) => {
    const mosquitto = await startMosquitto(t);

    t.test("MQTT 5: id, sequence, stream and time travel as user properties", async (t) => {
      const { connection } = await attempt(t, mosquitto.url);
      const heard = await subscribe(t, mosquitto.port, "fleet/#", { format: "%t|%C|%P|%p" });
      const outcomes: SendOutcome[] = [];
      connection.send(outbound(7), (outcome) => outcomes.push(outcome));
      connection.send(outbound(8, { observedAtTrusted: false }), (o) => outcomes.push(o));
      await eventually(() => heard.lines.length === 2 && outcomes.length === 2);
      t.equal(
        heard.lines[0],
        "fleet/agent-1/sensors/a|text/plain|id:agent-1/sensors/a/7 sequence:7 stream:sensors/a observed-at:2026-11-22T00:00:00.000Z|7",
      );
      t.match(heard.lines[1], "observed-at:2026-11-22T00:00:00.000Z?|8");
      await heard.stop();
    });

    t.test("MQTT 3.1.1: they travel in a JSON envelope", async (t) => {
      const { connection, told } = await attempt(t, mosquitto.url, { protocol: "3.1.1" });
      t.same(told, ["up 100"]);
      const heard = await subscribe(t, mosquitto.port, "fleet/#", { format: "%p" });
      const json = { payload: Buffer.from('{"c":21.5}'), contentType: "application/json" };
      const bytes = { payload: Buffer.from([0xff, 0]), contentType: "application/octet-stream" };
      for (const update of [outbound(1), outbound(2, json), outbound(3, bytes)])
        connection.send(update, () => undefined);
      await eventually(() => heard.lines.length === 3);
      const common = { stream: "sensors/a", observedAt: "2026-11-22T00:00:00.000Z" };
      t.match(
        heard.lines.map((line) => JSON.parse(line)),
        [
          { ...common, id: "agent-1/sensors/a/1", sequence: 1, payload: "1" },
          { ...common, id: "agent-1/sensors/a/2", sequence: 2, payload: { c: 21.5 } },
          { ...common, id: "agent-1/sensors/a/3", sequence: 3, payloadBase64: "/wA=" },
        ],
      );
      await heard.stop();
    });

    t.test(
      "marks are asked for behind the broker, and done without where nobody answers",
      async (t) => {
        const { connection, told } = await attempt(t, mosquitto.url, { sync: "auto" });
        const questions = await subscribe(t, mosquitto.port, "fleet/agent-1/$sync/marks", {
          format: "%p",
        });
        const ask = () =>
          new Promise<Marks | undefined>((resolve) =>
            connection.askMarks?.(["sensors/a"], resolve),
          );
        const answer = ask();
        await eventually(() => questions.lines.length === 1);
        const question = JSON.parse(questions.lines[0] ?? "") as { replyTo: string };
        t.match(question, { agent: "agent-1", streams: ["sensors/a"], replyTo: /^[\w-]{8}$/ });
        const marks = { "sensors/a": { through: 3, ranges: [[5, 6]] } };
        const reply = async (document: object): Promise<void> => {
          const words = ["-t", "fleet/agent-1/$command/marks", "-m", JSON.stringify(document)];
          await mosquittoClient("mosquitto_pub", mosquitto.port, words);
        };
        await reply({ marks: {}, replyTo: "of an earlier connection" });
        await reply({ marks, replyTo: question.replyTo });
        t.same(await answer, new Map([["sensors/a", { through: 3, ranges: [[5, 6]] }]]));
        t.equal(await ask(), undefined, "this time nobody answered");
        t.equal(told.length, 1, "it is no command");
        connection.tellFirst?.(new Map([["sensors/a", 9]]));
        await eventually(() => questions.lines.length === 3);
        t.match(JSON.parse(questions.lines[2] ?? ""), { streams: { "sensors/a": 9 } });
        await questions.stop();
        t.equal(new MqttUplink(options(mosquitto.url)).askMarks, undefined, "off by default");
      },
    );

    t.test("a killed agent's state is told by its last will; commands come back", async (t) => {
      const state = await subscribe(t, mosquitto.port, "fleet/agent-1/$state", { format: "%p" });
      const child = spawn(process.execPath, [
        fileURLToPath(import.meta.url),
        "connect",
        mosquitto.url,
      ]);
      t.teardown(() => child.kill("SIGKILL"));
      await eventually(() => state.lines.includes("here"), "the agent's state");
      child.kill("SIGKILL");
      await eventually(() => state.lines.includes("lost"), "the last will");
      await state.stop();
      const { told } = await attempt(t, mosquitto.url);
      const topic = "fleet/agent-1/$command/led";
      await mosquittoClient("mosquitto_pub", mosquitto.port, ["-q", "1", "-t", topic, "-m", "on"]);
      await eventually(() => told.includes("led on"), "the command");
    });
    t.teardown(() => mosquitto.stop());
  });

  t.test("TLS: the authority counts, and so does our own certificate", { skip }, async (t) => {
    const files = certificates(t.testdir());
    const tls = { caFile: files("ca.crt") };
    const lines = [
      `cafile ${files("ca.crt")}`,
      `certfile ${files("server.crt")}`,
      `keyfile ${files("server.key")}`,
    ];
    const plain = await startMosquitto(t, { tls: true, lines });
    t.match((await attempt(t, plain.url, { tls })).told, ["up 20"], "one-sided TLS");
    t.match((await attempt(t, plain.url)).told, [/down .*tls\.caFile/], "unknown authority");
    const other = { caFile: files("other.crt") };
    t.match((await attempt(t, plain.url, { tls: other })).told, [/down .*tls\.caFile/]);
    const name = { ...tls, serverName: "elsewhere.example" };
    t.match((await attempt(t, plain.url, { tls: name })).told, [/down .*altnames/i], "wrong name");
    const nowhere = { caFile: "/nowhere/ca.crt" };
    t.match((await attempt(t, plain.url, { tls: nowhere })).told, [
      /down tls\.caFile: can not read/,
    ]);
    await plain.stop();
    const strict = await startMosquitto(t, {
      tls: true,
      lines: [...lines, "require_certificate true"],
    });
    const own = { ...tls, certFile: files("client.crt"), keyFile: files("client.key") };
    t.match((await attempt(t, strict.url, { tls: own })).told, ["up 20"], "mTLS");
    t.match((await attempt(t, strict.url, { tls })).told, [/^down /], "mTLS without a certificate");
    await strict.stop();
  });

  for (const answer of ["CONNACK 0x84", "return code 1 of 3.1.1"])
    t.test(`auto falls back to 3.1.1 after ${answer}`, async (t) => {
      const versions: (number | undefined)[] = [];
      const broker = await fakeBroker(t, (packet, { socket, send }) => {
        if (packet.cmd === "puback") send(packet);
        if (packet.cmd !== "connect") return;
        versions.push(packet.protocolVersion);
        if (packet.protocolVersion === 4) socket.write(Buffer.from([0x20, 2, 0, 0]));
        else if (answer === "CONNACK 0x84") socket.end(Buffer.from([0x20, 3, 0, 0x84, 0]));
        else socket.end(Buffer.from([0x20, 2, 0, 1]));
      });
      const { told } = await attempt(t, broker.url);
      t.same(told, ["up 100"]);
      t.same(versions, [5, 4]);
      const only5 = await attempt(t, broker.url, { protocol: "5" });
      t.match(only5.told, [/^down .*protocol version/]);
    });

  t.test("verdicts, limits and silence", async (t) => {
    const codes = new Map([
      ["1", 0x10],
      ["2", 0x97],
      ["3", 0x99],
    ]);
    const broker = await fakeBroker(t, (packet, { send }) => {
      if (packet.cmd === "connect") send(welcome({ receiveMaximum: 1, maximumPacketSize: 400 }));
      if (packet.cmd !== "publish") return;
      const reasonCode = codes.get(packet.payload.toString());
      if (reasonCode !== undefined && packet.messageId !== undefined)
        send({ cmd: "puback", messageId: packet.messageId, reasonCode });
    });
    const { connection, told } = await attempt(t, broker.url);
    t.same(told, ["up 1"], "Receive Maximum");
    const outcomes: SendOutcome[] = [];
    const over = { payload: Buffer.alloc(300) };
    for (const update of [outbound(1), outbound(2), outbound(3), outbound(4, over), outbound(5)])
      connection.send(update, (outcome) => outcomes.push(outcome));
    await eventually(() => outcomes.length === 4, "four outcomes");
    t.match(
      outcomes.toSorted((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b))),
      [
        { kind: "acknowledged" },
        { kind: "refused", permanent: false, reason: "quota exceeded" },
        { kind: "refused", permanent: true, reason: /broker's maximum \(400\)/ },
        { kind: "refused", permanent: true, reason: "payload format invalid" },
      ],
    );
    broker.close();
    await eventually(() => told.length === 2, "the loss");
    t.equal(outcomes.length, 4, "an acknowledgement that never came is no outcome");
  });

  t.test("a peer that says nothing more is hung up on; one that never answers too", async (t) => {
    const silent = await fakeBroker(t, (packet, { send }) => {
      if (packet.cmd === "connect") send(welcome());
    });
    const { told } = await attempt(t, silent.url, { keepaliveSeconds: 1 });
    await eventually(() => told.length === 2, "the loss");
    t.same(told, ["up 100", "down broker silent for 1 s (keepalive)"]);
    const mute = await fakeBroker(t, () => undefined);
    const never = await attempt(t, mute.url, { connectTimeoutMs: 100 });
    t.same(never.told, ["down no CONNACK within 100 ms"]);
    const garbage = await fakeBroker(t, (_, { socket }) => socket.write(Buffer.alloc(64, 0xff)));
    t.match((await attempt(t, garbage.url)).told, [/^down /]);
    const twice = await fakeBroker(t, (packet, { send }) => {
      if (packet.cmd === "connect") for (let n = 0; n < 2; n++) send(welcome());
    });
    const confused = await attempt(t, twice.url);
    await eventually(() => confused.told.length === 2);
    t.match(confused.told[1], /down protocol error/);
  });
}

/** An authority with a server's and a client's certificate, and another authority. */
function certificates(directory: string): (name: string) => string {
  const openssl = (command: string): void => {
    const { status, stderr } = spawnSync("openssl", command.split(" "), { cwd: directory });
    if (status !== 0) throw new Error(stderr.toString());
  };
  const key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
  for (const ca of ["ca", "other"])
    openssl(`req -x509 ${key} -keyout ${ca}.key -out ${ca}.crt -subj /CN=${ca} -days 2`);
  const san = "-addext subjectAltName=IP:127.0.0.1";
  for (const who of ["server", "client"]) {
    openssl(`req ${key} -keyout ${who}.key -out ${who}.csr -subj /CN=${who} ${san}`);
    const by = "-CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -copy_extensions copy";
    openssl(`x509 -req -in ${who}.csr -out ${who}.crt ${by}`);
  }
  return (name) => join(directory, name);
}
