import { connect } from "node:net";
import mqttPacket from "mqtt-packet";
import t from "tap";
import type { DeadLetter } from "../../src/outbox/view.ts";
import { EmbeddedBroker } from "../../src/platform/mqtt/embedded-broker.ts";
import { freePort } from "../support/free-port.ts";
import { keptLog } from "../support/kept-log.ts";
import {
  eventually,
  mosquittoClient,
  mosquittoMissing,
  startMosquitto,
  subscribe,
} from "../support/mosquitto.ts";
import { openRoad, type Road } from "../support/road.ts";

const skip = mosquittoMissing();

const deadLetters = async ({ outbox }: Road): Promise<readonly DeadLetter[]> =>
  (await outbox.listDeadLetters({ limit: 100 })).deadLetters;

/** Writes raw bytes and tells what came back until the broker hung up. */
function raw(port: number, ...chunks: readonly Buffer[]): Promise<Buffer> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const answers: Buffer[] = [];
    for (const chunk of chunks) socket.write(chunk);
    socket.on("data", (chunk) => answers.push(chunk));
    socket.on("error", () => undefined);
    socket.once("close", () => resolve(Buffer.concat(answers)));
    setTimeout(() => socket.destroy(), 500).unref();
  });
}

const hello = (protocolVersion: 4 | 5): Buffer =>
  mqttPacket.generate(
    {
      cmd: "connect",
      protocolId: "MQTT",
      protocolVersion,
      clientId: "raw",
      clean: true,
      keepalive: 10,
    },
    { protocolVersion },
  );

t.test("Mosquitto's own clients publish, in every version and quality", { skip }, async (t) => {
  const road = await openRoad(t, []);
  const versions = ["mqttv311", "mqttv5", "mqttv31"];
  for (const version of versions)
    for (const qos of ["0", "1", "2"]) {
      const topic = `sensors/${version}/${qos}`;
      const args = ["-V", version, "-q", qos, "-t", topic, "-m", "21.5"];
      const { status, output } = await mosquittoClient("mosquitto_pub", road.port, args);
      t.equal(status, 0, `${topic} ${output}`);
    }
  await eventually(() => road.outbox.status().updates === 9, "nine updates");
  const many = Array.from({ length: 500 }, (_, n) => `${n}`).join("\n");
  const args = ["-V", "5", "-q", "1", "-t", "sensors/many", "-l"];
  await mosquittoClient("mosquitto_pub", road.port, args, `${many}\n`);
  const { updates } = await road.outbox.list({ limit: 1_000, stream: "sensors/many" });
  t.same(
    updates.map(({ sequence, payload }) => [sequence, Buffer.from(payload).toString()]),
    Array.from({ length: 500 }, (_, n) => [n + 1, `${n}`]),
    "each once, in order",
  );
  const elsewhere = await mosquittoClient("mosquitto_pub", road.port, [
    "-t",
    "lights",
    "-m",
    "on",
    "-q",
    "1",
  ]);
  t.equal(elsewhere.status, 0, "topics that nobody mapped are the broker's business");
  t.equal(road.outbox.status().updates, 509);
  await road.stop();
});

t.test(
  "what can never be delivered becomes a dead letter, with the reason",
  { skip },
  async (t) => {
    const road = await openRoad(t, [
      "mqtt.topics.0.filter=json/#",
      "mqtt.topics.0.format=json",
      "mqtt.topics.1.filter=sensors/#",
      "outbox.updateBytesMax=1000",
    ]);
    const send = (topic: string, ...what: readonly string[]) =>
      mosquittoClient("mosquitto_pub", road.port, ["-V", "5", "-q", "1", "-t", topic, ...what]);
    t.equal((await send("json/a", "-m", "{broken")).status, 0);
    t.equal((await send("json/a", "-m", '{"whole":1}')).status, 0);
    t.equal((await send("sensors/a", "-m", "x".repeat(1_001))).status, 0);
    t.equal((await send(`sensors${"/x".repeat(40)}`, "-m", "deep")).status, 0);
    t.match(await deadLetters(road), [
      { code: "payload.not-json", reason: /mqtt\.topics/, topic: "json/a" },
      { code: "payload.too-large", reason: /outbox\.updateBytesMax \(1000\)/ },
      { code: "topic.malformed", reason: /32 levels/ },
    ]);
    t.equal(road.outbox.status().updates, 1);
    const [letter] = await deadLetters(road);
    t.equal(await road.outbox.requeueDeadLetter(letter?.id ?? ""), true);
    t.equal(await road.outbox.requeueDeadLetter(letter?.id ?? ""), false, "it is gone");
    t.equal(road.outbox.status().updates, 2);
    const ids = (await deadLetters(road)).map(({ id }) => id);
    const twice = [...ids, ...ids].map((id) => road.outbox.deleteDeadLetter(id));
    await Promise.all(twice);
    t.match(road.outbox.status(), { deadLetters: 0, deadLetterBytes: 0 }, "counted once");
    await road.stop();
  },
);

t.test("malformed and oversize packets end their connection and nothing else", async (t) => {
  const road = await openRoad(t, ["mqtt.broker.packetBytesMax=2048"]);
  const publish = (protocolVersion: 4 | 5, topic: string, payload: Buffer): Buffer =>
    mqttPacket.generate(
      { cmd: "publish", topic, payload, qos: 1, messageId: 1, dup: false, retain: false },
      { protocolVersion },
    );
  for (const version of [4, 5] as const) {
    const answer = await raw(
      road.port,
      hello(version),
      publish(version, "sensors/a", Buffer.alloc(4_000)),
    );
    t.ok(answer.length > 0, `version ${version}: let in`);
    const wildcard = publish(version, "sensors/X", Buffer.from("1"));
    wildcard[wildcard.indexOf("X")] = 0x23;
    await raw(road.port, hello(version), wildcard);
    const invalidUtf8 = publish(version, "sensors/X", Buffer.from("1"));
    invalidUtf8[invalidUtf8.indexOf("X")] = 0xff;
    await raw(road.port, hello(version), invalidUtf8);
    await raw(road.port, hello(version), Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 0x7f]));
    await raw(road.port, hello(version), Buffer.from([0x36, 2, 0, 0]));
  }
  await raw(road.port, Buffer.from("GET / HTTP/1.1\r\n\r\n"));
  await raw(road.port, publish(4, "sensors/a", Buffer.from("no connect first")));
  const { updates } = await road.outbox.list({ limit: 10 });
  t.same(
    updates.map(({ stream }) => stream),
    [],
    "nothing of it was taken",
  );
  const letters = (await deadLetters(road)).map(({ code }) => code);
  t.ok(
    letters.every((code) => code === "topic.malformed"),
    "but for topics set aside",
  );
  const good = await raw(
    road.port,
    hello(4),
    publish(4, "sensors/a", Buffer.from("fine")),
    mqttPacket.generate({ cmd: "disconnect" }),
  );
  t.ok(good.length >= 4, "the next publisher is served");
  await eventually(() => road.outbox.status().updates === 1, "its reading");
  await road.stop();
});

t.test("a taken port is told with the settings that mend it", async (t) => {
  const options = {
    host: "127.0.0.1",
    clientsMax: 5,
    packetBytesMax: 2_048,
    receiveMaximum: 100,
    outboundBytesMax: 100_000,
    logger: keptLog(),
  };
  const first = new EmbeddedBroker({ ...options, port: await freePort() });
  await first.start((_, settle) => settle());
  const port = Number(new URL(first.status().url).port);
  const second = new EmbeddedBroker({ ...options, port });
  await t.rejects(
    second.start((_, settle) => settle()),
    {
      message: /MQTT port \d+ on 127\.0\.0\.1 is taken; set mqtt\.broker\.port/,
    },
  );
  t.equal(second.status().connected, false);
  await second.stop();
  await first.stop();
});

t.test(
  "upstream is killed and comes back: everything arrives once, in order",
  { skip },
  async (t) => {
    const port = await freePort();
    let upstream = await startMosquitto(t, { port });
    const uplink = [
      "name=up",
      "kind=mqtt",
      `url=mqtt://127.0.0.1:${port}`,
      "retryMinMs=20",
      "retryMaxMs=100",
    ];
    const road = await openRoad(t, [
      ...uplink.map((set) => `uplinks.0.${set}`),
      "uplinks.0.inFlightMax=20",
    ]);
    const arrived: string[] = [];
    let watcher = await subscribe(t, port, "agent-mesh/agent-1/sensors/#", { format: "%p" });
    const lines = (from: number) =>
      `${Array.from({ length: 1_000 }, (_, n) => from + n).join("\n")}\n`;
    const publish = (from: number) =>
      mosquittoClient(
        "mosquitto_pub",
        road.port,
        ["-V", "5", "-q", "1", "-t", "sensors/n", "-l"],
        lines(from),
      );
    const publishing = publish(0);
    await eventually(() => watcher.lines.length > 100, "the first hundred");
    await upstream.kill();
    arrived.push(...watcher.lines);
    await watcher.stop();
    await publishing;
    await publish(1_000);
    road.dispatcher.status();
    upstream = await startMosquitto(t, { port, lines: ["max_inflight_messages 1"] });
    watcher = await subscribe(t, port, "agent-mesh/agent-1/sensors/#", { format: "%p" });
    await eventually(() => road.outbox.status().updates === 0, "an empty outbox");
    await eventually(() => watcher.lines.at(-1) === "1999", "the last one");
    arrived.push(...watcher.lines);
    // The subscriber itself may have missed what arrived while upstream came up without it.
    const firstSeen = [...new Set(arrived)].map(Number);
    t.ok(
      firstSeen.every((value, at) => at === 0 || value > (firstSeen[at - 1] ?? 0)),
      "in order",
    );
    t.equal(road.outbox.status().acknowledged, 2_000);
    await watcher.stop();
    await road.stop();
    await upstream.stop();
  },
);
