// What the embedded broker keeps on disk and what it need not, side by side: order, once each, refusals.
import { connect, type IPublishPacket, type MqttClient } from "mqtt";
import type { IPubackPacket } from "mqtt-packet";
import t, { type Test } from "tap";
import type { InboundHandler } from "../../src/platform/broker.ts";
import type { BrokerGate } from "../../src/platform/broker-gate.ts";
import { EmbeddedBroker } from "../../src/platform/mqtt/embedded-broker.ts";
import { MemoryKeyValueStore } from "../../src/simulator/memory-key-value-store.ts";
import { brokerMemory } from "../support/broker-state.ts";
import { type KeptLog, keptLog } from "../support/kept-log.ts";
import { eventually } from "../support/mosquitto.ts";
import { openRawMqtt } from "../support/raw-mqtt.ts";

/** A disk that writes when it is told to. */
class StuckStore extends MemoryKeyValueStore {
  stuck = false;
  broken = false;
  readonly #waiting: (() => void)[] = [];

  override async write(...args: Parameters<MemoryKeyValueStore["write"]>): Promise<void> {
    if (this.stuck) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (this.broken) throw new Error("the disk is gone");
    await super.write(...args);
  }

  get waits(): boolean {
    return this.#waiting.length > 0;
  }

  release(): void {
    this.stuck = false;
    for (const go of this.#waiting.splice(0)) go();
  }
}

interface Running {
  readonly broker: EmbeddedBroker;
  readonly store: StuckStore;
  readonly log: KeptLog;
  readonly url: string;
}

async function start(
  t: Test,
  handler: InboundHandler = (_, settle) => settle(),
  gate?: BrokerGate,
): Promise<Running> {
  const store = new StuckStore();
  const log = keptLog();
  const broker = new EmbeddedBroker({
    host: "127.0.0.1",
    port: 0,
    clientsMax: 20,
    packetBytesMax: 100_000,
    receiveMaximum: 64,
    outboundBytesMax: 1_000_000,
    memory: brokerMemory(store),
    ...(gate === undefined ? {} : { gate }),
    logger: log,
  });
  await broker.start(handler);
  t.teardown(() => {
    store.release();
    return broker.stop();
  });
  return { broker, store, log, url: broker.status().url };
}

/** A client with a session, and what it heard. */
async function listener(
  t: Test,
  url: string,
  filter: string,
  clean = false,
): Promise<{ heard: string[]; client: MqttClient }> {
  const heard: string[] = [];
  const client = connect(url, { clientId: "listener", clean, reconnectPeriod: 0 });
  t.teardown(() => client.end(true));
  client.on("message", (topic, payload) => heard.push(`${topic} ${payload.toString()}`));
  await client.subscribeAsync(filter, { qos: 1 });
  return { heard, client };
}

const message = (
  topic: string,
  payload: string,
  more: Partial<IPublishPacket> = {},
): IPublishPacket => ({
  cmd: "publish",
  topic,
  payload,
  qos: 1,
  dup: false,
  retain: false,
  messageId: 1,
  ...more,
});

t.test("a message that waits for the disk is heard, though others overtook it", async (t) => {
  for (const clean of [false, true])
    await t.test(clean ? "by a clean session" : "by a session that stays", async (t) => {
      const { url, store } = await start(t);
      const { heard, client } = await listener(t, url, "a/#", clean);
      const slow = await openRawMqtt(t, url, 5, { clientId: "slow" });
      const quick = await openRawMqtt(t, url, 5, { clientId: "quick" });
      store.stuck = true;
      slow.send(message("a/1", "slow", { retain: true }));
      await eventually(() => store.waits, "a write");
      quick.send(message("a/2", "quick", { qos: 0 }));
      await eventually(() => heard.includes("a/2 quick"), "the one that need not wait");
      t.same(heard, ["a/2 quick"]);
      t.same(slow.of("puback"), [], "not thanked before the disk has it");
      store.release();
      await slow.next("puback");
      await eventually(() => heard.length >= 2, "the one that waited");
      t.same(heard, ["a/2 quick", "a/1 slow"]);
      await client.endAsync();
    });
});

t.test("messages of one client are heard in the order in which they came", async (t) => {
  const { url, store } = await start(t);
  const { heard } = await listener(t, url, "a", true);
  const publisher = await openRawMqtt(t, url, 5);
  store.stuck = true;
  const wanted = Array.from({ length: 20 }, (_, n) => `${n}`);
  publisher.send(
    ...wanted.map((payload, n) => message("a", payload, { retain: n % 3 === 0, messageId: n + 1 })),
  );
  await eventually(() => store.waits, "a write");
  store.release();
  await publisher.next("puback", wanted.length);
  await eventually(() => heard.length >= wanted.length, "all of them");
  t.same(
    heard,
    wanted.map((payload) => `a ${payload}`),
  );
});

t.test("what the handler refuses is kept for nobody, however often it comes", async (t) => {
  const { url, broker } = await start(t, ({ payload }, settle) =>
    payload[0] === 0x78 ? settle({ code: "outbox.full", message: "no room" }) : settle(),
  );
  const { client } = await listener(t, url, "a");
  await client.endAsync();
  const publisher = await openRawMqtt(t, url, 5);
  for (const messageId of [1, 2, 3]) publisher.send(message("a", "x", { messageId, retain: true }));
  await publisher.next("puback", 3);
  publisher.send(message("a", "taken", { messageId: 4 }));
  t.notOk((await publisher.next<IPubackPacket>("puback", 4)).reasonCode);
  const { queuedMessages, retained } = broker.status().remembered ?? {};
  t.same({ queuedMessages, retained }, { queuedMessages: 1, retained: 0 });
});

t.test("a disk that fails refuses what it should have kept, and nothing else", async (t) => {
  const { url, store } = await start(t);
  const { client } = await listener(t, url, "a");
  await client.endAsync();
  const publisher = await openRawMqtt(t, url, 5);
  store.broken = true;
  publisher.send(message("a", "1"), message("b", "2", { messageId: 2 }));
  const refused = await publisher.next<IPubackPacket>("puback");
  t.match(refused, { messageId: 1, reasonCode: 0x83 });
  t.match(refused.properties?.reasonString, /^broker\.store-failed: /);
  t.match(await publisher.next("puback", 2), { messageId: 2, reasonCode: 0 });
  store.broken = false;
  publisher.send(message("a", "again", { messageId: 3 }));
  t.match(await publisher.next("puback", 3), { messageId: 3, reasonCode: 0 });
});

t.test("a message that is not permitted", async (t) => {
  const taken: string[] = [];
  const { url, broker, log } = await start(
    t,
    ({ topic }, settle) => {
      taken.push(topic);
      settle();
    },
    {
      admit: async () => ({
        user: "pump",
        mayPublish: (topic) => topic.startsWith("mine/"),
        maySubscribe: () => true,
        mayReceive: () => true,
      }),
    },
  );
  for (const version of [4, 5] as const) {
    const client = await openRawMqtt(t, url, version, { clientId: `client-${version}` });
    for (const qos of [1, 2] as const) {
      client.send(message("yours/a", "1", { qos, messageId: qos }));
      const answer = await client.next<IPubackPacket>(qos === 1 ? "puback" : "pubrec");
      t.equal(answer.reasonCode ?? 0, version === 5 ? 0x87 : 0, `MQTT ${version}, QoS ${qos}`);
    }
    client.send(
      message("yours/b", "0", { qos: 0 }),
      message("mine/a", "1", { messageId: 7 }),
      message("yours/c", "1", { messageId: 8 }),
    );
    await client.next("puback", 3);
    t.notOk(client.closed);
  }
  t.same(taken, ["mine/a", "mine/a"]);
  t.equal(broker.status().denied, 8);
  const told = log.lines.filter(({ level }) => level === "warn");
  t.same(
    told.map(({ message }) => message),
    ["MQTT publish not permitted", "MQTT publish not permitted"],
    "once per connection",
  );
});
