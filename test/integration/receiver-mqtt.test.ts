// The receiver on a real broker: what agents publish in either form, marks, and messages that are no updates.
import { join } from "node:path";
import mqtt, { type MqttClient } from "mqtt";
import t, { type Test } from "tap";
import { freePort } from "../support/free-port.ts";
import { eventually, mosquittoMissing, startMosquitto } from "../support/mosquitto.ts";
import { startReceiver, updateLine } from "../support/receiver-service.ts";

const skip = mosquittoMissing();
const LIMITS = ["max_queued_messages 0", "max_inflight_messages 0"];

async function publisher(t: Test, url: string): Promise<MqttClient> {
  const client = await mqtt.connectAsync(url, { protocolVersion: 5, reconnectPeriod: 0 });
  t.teardown(() => client.endAsync(true));
  return client;
}

const properties = (sequence: number, more: Record<string, string> = {}) => ({
  contentType: "application/json",
  userProperties: {
    id: `pi-1/sensors/a/${sequence}`,
    sequence: String(sequence),
    stream: "sensors/a",
    "observed-at": "2026-11-22T16:32:14.781Z",
    ...more,
  },
});

t.test(
  "user properties and envelopes are both understood; the rest is passed over",
  { skip },
  async (t) => {
    const mosquitto = await startMosquitto(t, { lines: LIMITS });
    const receiver = await startReceiver(t, join(t.testdir(), "data"), { mqtt: mosquitto.url });
    await eventually(() => receiver.service.status().mqtt?.connected === true);
    const client = await publisher(t, mosquitto.url);
    const send = (topic: string, payload: string | Buffer, options: object = {}) =>
      client.publishAsync(`agent-mesh/${topic}`, payload, { qos: 1, ...options });
    await send("pi-1/sensors/a", '{"v": 1.50}', { properties: properties(1) });
    await send("pi-1/sensors/a", Buffer.from([0xff]), {
      properties: properties(2, { "observed-at": "2026-11-22T16:32:14.781Z?", key: "k" }),
    });
    await send("pi-1/sensors/b", updateLine(1, { stream: "sensors/b" }));
    const both = updateLine(3, { stream: "sensors/a" });
    await send("pi-1/sensors/a", both, { properties: properties(3) });
    await send("pi-1/sensors/a", '{"id":"pi-1/sensors/a/4","mine":true}', {
      properties: properties(4),
    });
    const bad: [string, string, object?][] = [
      ["pi-1/sensors/a", "21.5"],
      ["pi-1/sensors/a", ""],
      ["pi-2/sensors/a", "1", { properties: properties(9) }],
      ["pi-2/sensors/b", updateLine(9, { stream: "sensors/b" })],
      ["pi-1/sensors/a", "1", { properties: properties(9, { sequence: "9.0" }) }],
      ["pi-1/sensors/a", "1", { properties: properties(9, { id: "x" }) }],
      ["pi-1/sensors/a", "1", { properties: properties(9, { "observed-at": "now" }) }],
      ["pi-1/$sync/marks", "{"],
      ["pi-1/$sync/marks", '{"agent":"pi-2","streams":[]}'],
    ];
    for (const [topic, payload, options] of bad) await send(topic, payload, options);
    await send("pi-1/$state", "{}", { retain: true });
    await send("pi-1/$command/x", "1");
    await eventually(() => receiver.service.status().mqtt?.messages === 16, "all messages");
    await eventually(() => receiver.service.status().accepted === 5, "what is good of them");
    t.match(receiver.service.status(), {
      accepted: 5,
      mqtt: { unusable: bad.length, marksAsked: 2 },
    });
    t.ok((receiver.service.status().mqtt?.bytesReceived ?? 0) > 1_000);
    t.same(await receiver.kept("sensors/a"), [1, 2, 3, 4]);
    const text = await (await receiver.ask("/v1/updates?agent=pi-1&stream=sensors/a")).text();
    const [one, two, three, four] = text.split("\n");
    t.match(one, /"payload":\{"v": 1\.50\}\}$/, "to the digit");
    t.match(JSON.parse(two ?? ""), { observedAtTrusted: false, key: "k", payloadBase64: "/w==" });
    t.match(JSON.parse(three ?? ""), { payload: { value: 3 } });
    t.match(JSON.parse(four ?? ""), { payload: { mine: true } });
    t.equal(
      receiver.log.lines.filter(({ message }) => /not taken/.test(message)).length,
      bad.length,
    );
    const answers: string[] = [];
    client.on("message", (_topic, payload) => answers.push(payload.toString()));
    await client.subscribeAsync("agent-mesh/pi-1/$command/#", { qos: 1 });
    await send("pi-1/$sync/marks", '{"agent":"pi-1","streams":{"sensors/a":3},"replyTo":"7"}');
    await eventually(() => answers.length > 0, "the answer");
    t.match(JSON.parse(answers.at(-1) ?? ""), {
      agent: "pi-1",
      marks: { "sensors/a": { through: 4, ranges: [], lastObservedAt: /^2026-/ } },
      replyTo: "7",
    });
  },
);

t.test(
  "what is published while the receiver is away comes when it is back, once",
  { skip },
  async (t) => {
    const port = await freePort();
    const directory = t.testdir();
    const data = join(directory, "data");
    const options = { mqtt: `mqtt://127.0.0.1:${port}` };
    const early = await startReceiver(t, data, options);
    t.equal(early.service.status().mqtt?.connected, false, "the broker may come up later");
    const mosquitto = await startMosquitto(t, { port, lines: LIMITS });
    await eventually(() => early.service.status().mqtt?.connected === true);
    await early.stop();
    const client = await publisher(t, mosquitto.url);
    const publish = (sequence: number) =>
      client.publishAsync("agent-mesh/pi-1/sensors/a", "1", {
        qos: 1,
        properties: properties(sequence),
      });
    for (let n = 1; n <= 500; n++) await publish(n);
    const late = await startReceiver(t, data, options);
    for (let n = 400; n <= 600; n++) await publish(n);
    const settled = (): number => {
      const { accepted, duplicates } = late.service.status();
      return accepted + duplicates;
    };
    await eventually(() => settled() === 701, "everything");
    t.match(late.service.status(), { accepted: 600, duplicates: 101, mqtt: { messages: 701 } });
    t.equal((await late.kept("sensors/a")).length, 600);
  },
);
