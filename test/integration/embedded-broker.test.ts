import { setTimeout as delay } from "node:timers/promises";
import type {
  IConnackPacket,
  IDisconnectPacket,
  IPubackPacket,
  IPublishPacket,
  ISubackPacket,
  ISubscription,
} from "mqtt-packet";
import t, { type Test } from "tap";
import type { InboundHandler } from "../../src/platform/broker.ts";
import { EmbeddedBroker } from "../../src/platform/mqtt/embedded-broker.ts";
import { brokerMemory } from "../support/broker-state.ts";
import { keptLog } from "../support/kept-log.ts";
import { eventually } from "../support/mosquitto.ts";
import { hello, openRawMqtt, type RawMqtt, rawMqtt } from "../support/raw-mqtt.ts";

const take: InboundHandler = (_, settle) => settle();

/** A broker that takes everything, unless the test has a handler of its own. */
async function startBroker(
  t: Test,
  handler: InboundHandler = take,
  options: { receiveMaximum?: number; outboundBytesMax?: number } = {},
) {
  const broker = new EmbeddedBroker({
    host: "127.0.0.1",
    port: 0,
    clientsMax: 20,
    packetBytesMax: 100_000,
    receiveMaximum: 64,
    outboundBytesMax: 1_000_000,
    memory: brokerMemory(),
    logger: keptLog(),
    ...options,
  });
  await broker.start(handler);
  t.teardown(() => broker.stop());
  return { broker, url: broker.status().url };
}

function publish(
  topic: string,
  payload: string,
  more: Partial<IPublishPacket> = {},
): IPublishPacket {
  return { cmd: "publish", topic, payload, qos: 0, dup: false, retain: false, ...more };
}

async function subscribe(
  client: RawMqtt,
  subscriptions: ISubscription[],
  properties?: { subscriptionIdentifier: number },
): Promise<ISubackPacket> {
  const nth = client.of("suback").length + 1;
  client.send({
    cmd: "subscribe",
    messageId: nth,
    subscriptions,
    ...(properties === undefined ? {} : { properties }),
  });
  return client.next<ISubackPacket>("suback", nth);
}

const payloads = (client: RawMqtt): string[] =>
  client.of<IPublishPacket>("publish").map(({ payload }) => payload.toString());

t.test("a publisher need not wait for CONNACK, whatever it sends behind CONNECT", async (t) => {
  const seen: string[] = [];
  const { url } = await startBroker(t, ({ payload }, settle) => {
    seen.push(Buffer.from(payload).toString());
    settle();
  });
  for (const version of [4, 5] as const) {
    seen.length = 0;
    const client = rawMqtt(t, url, version);
    const messages = Array.from({ length: 200 }, (_, n) =>
      publish("sensors/a", `${n}`, { qos: 1, messageId: n + 1 }),
    );
    client.send(hello(version), ...messages);
    await client.next("puback", 200);
    t.same(
      seen,
      messages.map(({ payload }) => payload),
    );
    t.same(
      client.of<IPubackPacket>("puback").map(({ messageId }) => messageId),
      messages.map(({ messageId }) => messageId),
    );
  }
});

t.test(
  "PUBACKs come in the order of the messages, though a later one is settled first",
  async (t) => {
    const open = new Map<string, () => void>();
    const { url } = await startBroker(t, ({ topic }, settle) => open.set(topic, settle));
    const client = await openRawMqtt(t, url, 4);
    client.send(
      publish("a", "", { qos: 1, messageId: 7 }),
      publish("b", "", { qos: 1, messageId: 3 }),
      publish("c", "", { qos: 1, messageId: 5 }),
    );
    await eventually(() => open.size === 3);
    for (const topic of ["c", "b"]) open.get(topic)?.();
    await delay(20);
    t.same(client.of("puback"), []);
    open.get("a")?.();
    await client.next("puback", 3);
    t.same(
      client.of<IPubackPacket>("puback").map(({ messageId }) => messageId),
      [7, 3, 5],
    );
  },
);

t.test("a publisher with too much open waits in its socket, and nothing is lost", async (t) => {
  const open: (() => void)[] = [];
  const { url } = await startBroker(t, (_, settle) => open.push(settle), { receiveMaximum: 10 });
  const client = await openRawMqtt(t, url, 5);
  const connack = await client.next<IConnackPacket>("connack");
  t.equal(connack.properties?.receiveMaximum, 10, "and it was told");
  for (let id = 1; id <= 500; id++)
    client.send(publish("a", "x".repeat(500), { qos: 1, messageId: id }));
  await eventually(() => open.length === 10);
  await delay(50);
  t.equal(open.length, 10, "no more is taken");
  for (let n = 0; n < 500; n++) {
    await eventually(() => open.length > n);
    open[n]?.();
  }
  await client.next("puback", 500);
  t.same(
    client.of<IPubackPacket>("puback").map(({ messageId }) => messageId),
    Array.from({ length: 500 }, (_, n) => n + 1),
  );
});

t.test("too many QoS 2 messages open: DISCONNECT 0x93, and it arrives", async (t) => {
  const { url } = await startBroker(t, take, { receiveMaximum: 5 });
  const client = await openRawMqtt(t, url, 5);
  for (let id = 1; id <= 6; id++) client.send(publish("a", "", { qos: 2, messageId: id }));
  const { reasonCode } = await client.next<IDisconnectPacket>("disconnect");
  t.equal(reasonCode, 0x93);
  await eventually(() => client.closed);
});

t.test("publishing keeps a connection alive without pings, silence does not", async (t) => {
  const { url } = await startBroker(t);
  const client = await openRawMqtt(t, url, 4, { keepalive: 1 });
  for (let n = 0; n < 12; n++) {
    client.send(publish("a", `${n}`));
    await delay(200);
  }
  t.equal(client.closed, false);
  await eventually(() => client.closed, "the end of a silent client");
});

t.test("what is behind SUBSCRIBE in the same breath meets the subscription", async (t) => {
  const { url } = await startBroker(t);
  for (const version of [4, 5] as const) {
    const client = await openRawMqtt(t, url, version);
    client.send(
      { cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "a/#", qos: 1 }] },
      publish("a/1", "first", { qos: 1, messageId: 2 }),
      { cmd: "unsubscribe", messageId: 3, unsubscriptions: ["a/#"] },
      publish("a/1", "second", { qos: 1, messageId: 4 }),
    );
    await client.next("puback", 2);
    await client.next("publish");
    await delay(20);
    t.same(payloads(client), ["first"]);
  }
});

t.test("refusals: a full queue is no final verdict, $SYS is nobody's to publish", async (t) => {
  const { url, broker } = await startBroker(t, ({ topic }, settle) =>
    settle(topic === "full" ? { code: "outbox.full", message: "no room" } : undefined),
  );
  const five = await openRawMqtt(t, url, 5);
  five.send(
    publish("full", "", { qos: 1, messageId: 1 }),
    publish("$SYS/x", "", { qos: 1, messageId: 2 }),
    publish("$other/x", "", { qos: 1, messageId: 3 }),
  );
  await five.next("puback", 3);
  t.match(five.of("puback"), [
    { messageId: 1, reasonCode: 0x97, properties: { reasonString: "outbox.full: no room" } },
    { messageId: 2, reasonCode: 0x87 },
    { messageId: 3, reasonCode: 0 },
  ]);
  const quietly = await openRawMqtt(t, url, 5, {
    clientId: "quietly",
    properties: { requestProblemInformation: false },
  });
  quietly.send(publish("full", "", { qos: 1, messageId: 1 }));
  t.equal((await quietly.next<IPubackPacket>("puback")).properties?.reasonString, undefined);
  const four = await openRawMqtt(t, url, 4, { clientId: "four" });
  four.send(publish("$SYS/x", "", { qos: 1, messageId: 1 }));
  await four.next("puback");
  four.send(publish("full", "", { qos: 1, messageId: 2 }));
  await eventually(() => four.closed, "the end of a connection that can not be told otherwise");
  t.equal(four.of("puback").length, 1);
  t.equal(broker.status().clients, 2);
});

t.test("malformed publishes end their connection with the reason", async (t) => {
  const { url } = await startBroker(t);
  const withTopic = (bytes: readonly number[]): Buffer =>
    Buffer.from([0x30, 4 + bytes.length, 0, bytes.length, ...bytes, 0, 0x78]);
  for (const [what, bytes, reason] of [
    ["wildcard", withTopic([0x61, 0x2f, 0x23]), 0x90],
    ["not UTF-8", withTopic([0xff, 0xfe]), 0x81],
    ["null character", withTopic([0x61, 0]), 0x81],
    ["no topic", withTopic([]), 0x90],
    ["identifier 0", Buffer.from([0x32, 6, 0, 1, 0x61, 0, 0, 0]), 0x82],
    ["truncated", Buffer.from([0x30, 2, 0, 9]), 0x81],
    ["length of five bytes", Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 1]), 0x81],
  ] as const) {
    const client = await openRawMqtt(t, url, 5);
    client.send(bytes);
    t.equal((await client.next<IDisconnectPacket>("disconnect")).reasonCode, reason, what);
    await eventually(() => client.closed);
    const old = await openRawMqtt(t, url, 4);
    old.send(what === "identifier 0" ? Buffer.from([0x32, 5, 0, 1, 0x61, 0, 0]) : bytes);
    await eventually(() => old.closed || what === "truncated", what);
  }
});

t.test("a subscriber's Receive Maximum and Maximum Packet Size are kept to", async (t) => {
  const { url, broker } = await startBroker(t);
  const subscriber = await openRawMqtt(t, url, 5, {
    clientId: "subscriber",
    properties: { receiveMaximum: 2, maximumPacketSize: 60 },
  });
  await subscribe(subscriber, [{ topic: "a/#", qos: 1 }]);
  const publisher = await openRawMqtt(t, url, 5);
  publisher.send(publish("a/large", "x".repeat(80), { qos: 1, messageId: 99 }));
  for (let id = 1; id <= 5; id++)
    publisher.send(publish("a/1", `${id}`, { qos: 1, messageId: id }));
  await publisher.next("puback", 6);
  await subscriber.next("publish", 2);
  await delay(50);
  t.same(payloads(subscriber), ["1", "2"], "two are in flight, the large one is left out");
  for (let nth = 1; nth <= 5; nth++) {
    const { messageId = 0 } = await subscriber.next<IPublishPacket>("publish", nth);
    subscriber.send({ cmd: "puback", messageId });
  }
  t.same(payloads(subscriber), ["1", "2", "3", "4", "5"]);
  t.equal(broker.status().undelivered, 1);
});

t.test("overlapping subscriptions: the highest QoS, every identifier, one copy", async (t) => {
  const { url } = await startBroker(t);
  const subscriber = await openRawMqtt(t, url, 5, { clientId: "subscriber" });
  await subscribe(subscriber, [{ topic: "a/#", qos: 0 }], { subscriptionIdentifier: 11 });
  await subscribe(subscriber, [{ topic: "a/+", qos: 1 }], { subscriptionIdentifier: 12 });
  const publisher = await openRawMqtt(t, url, 5);
  publisher.send(publish("a/1", "both", { qos: 2, messageId: 1 }));
  publisher.send({ cmd: "pubrel", messageId: 1 });
  publisher.send(publish("a/1/2", "one", { qos: 1, messageId: 2 }));
  await subscriber.next("publish", 2);
  await delay(20);
  const [both, one] = subscriber.of<IPublishPacket>("publish");
  t.equal(subscriber.of("publish").length, 2);
  t.equal(both?.qos, 1, "not 2: nobody was granted that");
  t.same(
    [both?.properties?.subscriptionIdentifier].flat().toSorted((a, b) => Number(a) - Number(b)),
    [11, 12],
  );
  t.equal(one?.qos, 0);
  t.same([one?.properties?.subscriptionIdentifier].flat(), [11]);
});

t.test("retained messages, and wills without what is the broker's own", async (t) => {
  const { url } = await startBroker(t);
  const publisher = await openRawMqtt(t, url, 5, {
    will: {
      topic: "wills/a",
      payload: Buffer.from("gone"),
      qos: 1,
      retain: false,
      properties: { willDelayInterval: 0, contentType: "text/plain" },
    },
  });
  publisher.send(publish("state/a", "on", { qos: 1, messageId: 1, retain: true }));
  await publisher.next("puback");
  const subscriber = await openRawMqtt(t, url, 5, { clientId: "subscriber" });
  await subscribe(subscriber, [
    { topic: "state/#", qos: 1 },
    { topic: "wills/#", qos: 1 },
  ]);
  t.match(await subscriber.next("publish"), { topic: "state/a", retain: true });
  publisher.socket.destroy();
  const will = await subscriber.next<IPublishPacket>("publish", 2);
  t.match(will, { topic: "wills/a", payload: Buffer.from("gone") });
  t.same({ ...will.properties }, { contentType: "text/plain" });
});

t.test(
  "a session waits for its client, and what is for it is kept before the thanks",
  async (t) => {
    const { url } = await startBroker(t);
    const publisher = await openRawMqtt(t, url, 5);
    const session = { clientId: "away", clean: false };
    const first = await openRawMqtt(t, url, 5, {
      ...session,
      clean: true,
      properties: { sessionExpiryInterval: 100 },
    });
    await subscribe(first, [{ topic: "a/#", qos: 1 }]);
    // The topic was quiet before, and must not be taken for it any more.
    first.send({ cmd: "disconnect" });
    await eventually(() => first.closed);
    publisher.send(publish("a/1", "kept", { qos: 1, messageId: 1 }));
    await publisher.next("puback");
    const resumed = await openRawMqtt(t, url, 5, session);
    t.equal((await resumed.next<IConnackPacket>("connack")).sessionPresent, true);
    const kept = await resumed.next<IPublishPacket>("publish");
    t.equal(kept.payload.toString(), "kept");
    resumed.send({ cmd: "puback", messageId: kept.messageId ?? 0 });
    publisher.send(publish("a/2", "live", { qos: 1, messageId: 2 }));
    t.equal((await resumed.next<IPublishPacket>("publish", 2)).payload.toString(), "live");
    resumed.send({ cmd: "disconnect" });
    await eventually(() => resumed.closed);
    const over = await openRawMqtt(t, url, 5, session);
    t.equal(
      (await over.next<IConnackPacket>("connack")).sessionPresent,
      false,
      "expiry 0: it ended with the connection",
    );
  },
);

t.test("a long queue comes back through a small window, acknowledged while it comes", async (t) => {
  const { url } = await startBroker(t);
  const first = await openRawMqtt(t, url, 4, { clientId: "away", clean: false });
  await subscribe(first, [{ topic: "a/#", qos: 1 }]);
  first.send({ cmd: "disconnect" });
  await eventually(() => first.closed);
  const publisher = await openRawMqtt(t, url, 4);
  for (let id = 1; id <= 300; id++)
    publisher.send(publish("a/1", `${id}`, { qos: 1, messageId: id }));
  await publisher.next("puback", 300);
  const resumed = rawMqtt(t, url, 5);
  resumed.send(
    hello(5, {
      clientId: "away",
      clean: false,
      properties: { receiveMaximum: 3, sessionExpiryInterval: 60 },
    }),
  );
  for (let nth = 1; nth <= 300; nth++) {
    const { messageId = 0 } = await resumed.next<IPublishPacket>("publish", nth);
    resumed.send({ cmd: "puback", messageId });
  }
  t.same(
    payloads(resumed),
    Array.from({ length: 300 }, (_, n) => `${n + 1}`),
  );
});

t.test("a subscriber that does not read costs nobody but itself", async (t) => {
  const { url, broker } = await startBroker(t, take, { outboundBytesMax: 200_000 });
  const stuck = await openRawMqtt(t, url, 4, { clientId: "stuck" });
  await subscribe(stuck, [{ topic: "a/#", qos: 0 }]);
  const doomed = await openRawMqtt(t, url, 4, { clientId: "doomed" });
  await subscribe(doomed, [{ topic: "a/#", qos: 1 }]);
  stuck.socket.pause();
  doomed.socket.pause();
  const publisher = await openRawMqtt(t, url, 4);
  const startedMs = performance.now();
  const body = "x".repeat(20_000);
  for (let id = 1; id <= 500; id++) {
    publisher.send(publish("a/1", body, { qos: 1, messageId: id }));
    await publisher.next("puback", id);
  }
  t.ok(performance.now() - startedMs < 15_000, "the publisher was not held up");
  t.ok((broker.status().undelivered ?? 0) > 100, "what it missed is counted");
  await eventually(() => broker.status().clients === 2, "the end of the QoS 1 subscriber");
  stuck.socket.resume();
  await eventually(() => stuck.of("publish").length > 0);
  publisher.send(publish("a/1", "again", { qos: 1, messageId: 501 }));
  await eventually(() => payloads(stuck).includes("again"), "a message after it reads again");
});
