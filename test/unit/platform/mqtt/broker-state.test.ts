import t, { type Test } from "tap";
import { BrokerState } from "../../../../src/platform/mqtt/broker-state/broker-state.ts";
import type { StateLimits } from "../../../../src/platform/mqtt/broker-state/limits.ts";
import type { Message } from "../../../../src/platform/mqtt/broker-state/packet.ts";
import type { Will } from "../../../../src/platform/mqtt/broker-state/wills.ts";
import { MemoryKeyValueStore } from "../../../../src/simulator/memory-key-value-store.ts";
import { VirtualClock } from "../../../../src/simulator/virtual-clock.ts";
import { stateLimits } from "../../../support/broker-state.ts";
import { type KeptLog, keptLog } from "../../../support/kept-log.ts";

/** A broker's state on a virtual disk, and its later lives on the same one. */
class Lives {
  readonly clock = new VirtualClock();
  readonly log: KeptLog = keptLog();
  store = new MemoryKeyValueStore();
  state: BrokerState;
  #starts = 0;

  readonly limits: StateLimits;

  private constructor(limits: StateLimits) {
    this.limits = limits;
    this.state = this.#make();
  }

  static async begin(limits: Partial<StateLimits> = {}): Promise<Lives> {
    const lives = new Lives({ ...stateLimits, ...limits });
    await lives.#setup();
    return lives;
  }

  /** Power loss: what was not synced is gone, and nothing says goodbye. */
  async crash(): Promise<void> {
    this.store.disk.crash();
    await this.restart();
  }

  async restart(): Promise<void> {
    this.store = new MemoryKeyValueStore(this.store.disk);
    this.state = this.#make();
    await this.#setup();
  }

  #make(): BrokerState {
    const { store, clock, log, limits } = this;
    return new BrokerState({ store, clock, logger: log, limits });
  }

  async #setup(): Promise<void> {
    this.#starts++;
    await this.state.setup({ id: `broker-${this.#starts}`, counter: 0 });
  }
}

const client = (id: string, sessionExpiryInterval = 3_600) => ({
  id,
  clean: false,
  sessionExpiryInterval,
});

const message = (topic: string, payload: string, more: Partial<Message> = {}): Message => ({
  cmd: "publish",
  topic,
  payload: Buffer.from(payload),
  qos: 1,
  retain: false,
  ...more,
});

async function queued(state: BrokerState, id: string): Promise<string[]> {
  const found: string[] = [];
  for await (const one of state.outgoingStream(client(id)) as AsyncIterable<Message>)
    found.push(one.cmd === "pubrel" ? `pubrel ${one.messageId}` : String(one.payload));
  return found;
}

async function retained(state: BrokerState, filter: string): Promise<Message[]> {
  const found: Message[] = [];
  for await (const one of state.createRetainedStream(filter)) found.push(one as Message);
  return found;
}

t.test("what was kept survives power loss, in order", async (t) => {
  const lives = await Lives.begin();
  await lives.state.addSubscriptions(client("a"), [{ topic: "x/#", qos: 1 }]);
  await lives.state.addSubscriptions(client("b"), [{ topic: "x/+", qos: 2, nl: true }]);
  await lives.state.keep(message("x/1", "one"), "b");
  await lives.crash();
  await lives.state.keep(message("x/1", "two", { retain: true }));
  await lives.crash();
  await lives.state.keep(message("x/1", "three"));
  t.same(await queued(lives.state, "a"), ["one", "two", "three"]);
  t.same(await queued(lives.state, "b"), ["two", "three"], "not what it published itself");
  t.same(
    (await retained(lives.state, "#")).map(({ payload }) => String(payload)),
    ["two"],
  );
  t.match(lives.state.use(), { sessions: 2, queuedMessages: 5, retained: 1 });
});

t.test("what nobody subscribed to costs nothing", async (t) => {
  const lives = await Lives.begin();
  const { generation } = lives.state;
  await lives.state.addSubscriptions(client("a"), [
    { topic: "x/#", qos: 1 },
    { topic: "+/z", qos: 1 },
    { topic: "quiet", qos: 0 },
  ]);
  t.ok(lives.state.generation > generation, "who remembers what nobody subscribed to asks again");
  const { bytes } = lives.store.disk;
  t.notOk(lives.state.concerns("sensors/a", false));
  t.notOk(lives.state.concerns("quiet", false), "QoS 0 subscriptions are not served while away");
  t.notOk(lives.state.concerns("$SYS/z", false), "wildcards leave out what begins with $");
  t.ok(lives.state.concerns("sensors/a", true));
  t.ok(lives.state.concerns("x", false));
  t.ok(lives.state.concerns("y/z", false));
  await lives.state.outgoingEnqueueCombi([], message("sensors/a", "1"));
  await lives.clock.advance(10_000);
  t.equal(lives.store.disk.bytes, bytes);
});

t.test("overlapping subscriptions bring a message once, at the higher QoS", async (t) => {
  const lives = await Lives.begin();
  await lives.state.addSubscriptions(client("a"), [
    { topic: "x/#", qos: 1, subscriptionIdentifier: 7 },
    { topic: "x/1", qos: 2, subscriptionIdentifier: 8, rap: true },
  ]);
  await lives.state.keep(message("x/1", "one", { qos: 2, retain: true }));
  const [one, more] = (await lives.state.outgoingStream(client("a")).toArray()) as Message[];
  t.match(one, { qos: 2, retain: true, properties: { subscriptionIdentifier: 8 } });
  t.equal(more, undefined);
});

t.test("a delivery goes on where the crash came", async (t) => {
  const lives = await Lives.begin();
  const a = client("a");
  await lives.state.addSubscriptions(a, [{ topic: "x", qos: 2 }]);
  for (const text of ["one", "two", "three", "four"])
    await lives.state.keep(message("x", text, { qos: 2 }));
  const deliveries = (await lives.state.outgoingStream(a).toArray()) as Message[];
  for (const [at, delivery] of deliveries.slice(0, 3).entries()) {
    delivery.messageId = 10 + at;
    await lives.state.outgoingUpdate(a, delivery);
    t.notOk(lives.state.wasSentBefore(delivery));
  }
  await lives.state.outgoingUpdate(a, { ...message("", ""), cmd: "pubrel", messageId: 11 });
  t.match(await lives.state.outgoingClearMessageId(a, { messageId: 10 }), { messageId: 10 });
  await lives.state.outgoingClearMessageId(a, { messageId: 99 });
  // The last word, that 10 is done, may wait a moment; the others may not.
  await lives.clock.advance(1_000);
  await lives.restart();
  t.same(await queued(lives.state, "a"), ["pubrel 11", "three", "four"]);
  const [, again, fresh] = (await lives.state.outgoingStream(a).toArray()) as Message[];
  t.equal(again?.messageId, 12, "sent again under the id its receiver knows");
  await lives.state.outgoingUpdate(a, again!);
  t.ok(lives.state.wasSentBefore(again!), "so it carries DUP");
  fresh!.messageId = 12;
  await lives.state.outgoingUpdate(a, fresh!);
  t.equal(fresh?.messageId, 13, "an id that is taken is not given out again");
  for (const messageId of [11, 12, 13]) await lives.state.outgoingClearMessageId(a, { messageId });
  t.match(lives.state.use(), { queuedMessages: 0, queuedBytes: 0 });
});

t.test("QoS 2 messages that came in are known until they are released", async (t) => {
  const lives = await Lives.begin();
  const stays = client("stays");
  const leaves = { ...client("leaves", 0), clean: true };
  for (const who of [stays, leaves])
    await lives.state.incomingStorePacket(who, message("x", "1", { qos: 2, messageId: 5 }));
  await lives.state.incomingGetPacket(leaves, message("x", "1", { messageId: 5 }));
  await lives.crash();
  await lives.state.incomingGetPacket(stays, message("x", "1", { messageId: 5 }));
  await t.rejects(lives.state.incomingGetPacket(leaves, message("x", "1", { messageId: 5 })));
  await lives.state.incomingDelPacket(stays, message("x", "1", { messageId: 5 }));
  await t.rejects(lives.state.incomingGetPacket(stays, message("x", "1", { messageId: 5 })));
});

t.test(
  "sessions end when their time is over, across restarts and jumps of the clock",
  async (t) => {
    const lives = await Lives.begin({ sessionExpirySecondsMax: 100_000 });
    for (const [id, seconds] of [
      ["short", 60],
      ["long", 7_200],
      ["forever", 2 ** 32 - 1],
    ] as const) {
      await lives.state.addSubscriptions(client(id, seconds), [{ topic: "x", qos: 1 }]);
      lives.state.left(client(id, seconds));
    }
    await lives.state.keep(message("x", "1"));
    const sessions = () => lives.state.use().sessions;
    await lives.clock.advance(50_000);
    await lives.restart();
    t.equal(sessions(), 3);
    await lives.clock.advance(45_000);
    t.equal(sessions(), 2, "a minute, part of it before the restart");
    t.equal(lives.state.use().queuedMessages, 2);
    // A device without a battery-backed clock: 1970 until it hears of the real time.
    lives.clock.reboot();
    lives.clock.wallOffsetMs = 0;
    lives.clock.trusted = false;
    await lives.restart();
    lives.clock.trusted = true;
    lives.clock.wallOffsetMs = 4_000_000_000_000;
    lives.state.arrived(client("long"));
    lives.state.left(client("long", 7_200));
    await lives.clock.advance(3_600_000);
    t.equal(sessions(), 1, "the one whose client left before the jump seems decades old");
    t.same(await queued(lives.state, "long"), ["1"]);
    await lives.clock.advance(3_700_000);
    t.equal(sessions(), 0);
    t.match(lives.state.use(), { queuedMessages: 0, queuedBytes: 0, subscriptions: 0 });
    await lives.restart();
    t.equal(sessions(), 0);
    t.equal(lives.store.disk.range({ gte: "b/q/", lt: "b/q0", limit: 9 }).length, 0);
  },
);

t.test(
  "a session whose client was connected at the crash starts to age at the next start",
  async (t) => {
    const lives = await Lives.begin();
    await lives.state.addSubscriptions(client("a", 60), [{ topic: "x", qos: 1 }]);
    lives.state.left(client("a", 60));
    lives.state.arrived(client("a", 60));
    await lives.clock.advance(3_600_000);
    await lives.restart();
    t.equal(lives.state.use().sessions, 1);
    await lives.clock.advance(100_000);
    t.equal(lives.state.use().sessions, 0);
  },
);

t.test("messages expire after what they had left, whatever the clock says", async (t) => {
  const lives = await Lives.begin();
  await lives.state.addSubscriptions(client("a", 86_400), [{ topic: "x", qos: 1 }]);
  const properties = { messageExpiryInterval: 600 };
  await lives.state.keep(
    message("x", "short", { retain: true, properties: { messageExpiryInterval: 60 } }),
  );
  await lives.state.keep(message("x", "long", { properties }));
  await lives.state.keep(message("r", "kept", { retain: true, properties }));
  lives.clock.wallOffsetMs += 10 * 365 * 86_400_000;
  await lives.clock.advance(100_000);
  await lives.restart();
  const [one, more] = (await lives.state.outgoingStream(client("a")).toArray()) as Message[];
  t.equal(String(one?.payload), "long");
  t.equal(one?.messageExpiry, lives.clock.wallMs() + 500_000);
  t.equal(more, undefined);
  t.match(lives.state.use(), { expired: 1, queuedMessages: 1 });
  t.match(await retained(lives.state, "+"), [
    { topic: "r", messageExpiry: lives.clock.wallMs() + 500_000 },
  ]);
});

t.test("wills that an earlier run left", async (t) => {
  const lives = await Lives.begin();
  const will = (delay?: number) =>
    message(
      "gone",
      "lost",
      delay === undefined ? {} : { properties: { willDelayInterval: delay } },
    );
  await lives.state.putWill(client("now"), will());
  await lives.state.putWill(client("later"), will(30));
  await lives.state.putWill(client("back"), will(30));
  await lives.state.putWill(client("polite"), will());
  await lives.state.putWill(client("ended"), will(300));
  for (const id of ["later", "back"])
    await lives.state.addSubscriptions(client(id), [{ topic: "x", qos: 1 }]);
  await lives.state.delWill(client("polite"));
  await lives.restart();
  const published: Will[] = [];
  lives.state.publishLeftWills((will) => published.push(will));
  const names = () => published.map(({ clientId }) => clientId);
  t.same(names(), ["ended", "now"].sort(), "no session outlives them, or they wanted no delay");
  await lives.state.delWill(client("back"));
  await lives.state.putWill(client("back"), will());
  await lives.clock.advance(29_000);
  t.equal(published.length, 2);
  await lives.clock.advance(2_000);
  t.same(names().slice(2), ["later"], "whose client came back in time has a new will");
  const own = (await lives.state.streamWill({}).toArray()) as Will[];
  t.notOk(
    own.some(({ clientId }) => clientId === "back"),
    "Aedes is not to publish living ones",
  );
});

t.test("everything has its bound, and what is left out is said once", async (t) => {
  const lives = await Lives.begin({
    sessionsMax: 2,
    subscriptionsPerSessionMax: 2,
    queuedBytesPerSessionMax: 1_000,
    queuedBytesMax: 1_500,
    retainedMax: 2,
  });
  const subscribe = (id: string, ...topics: string[]) =>
    lives.state.addSubscriptions(
      client(id),
      topics.map((topic) => ({ topic, qos: 1 })),
    );
  await subscribe("a", "x", "y", "z", "w");
  await subscribe("b", "x");
  await subscribe("c", "x");
  await subscribe("d", "x");
  for (let n = 0; n < 12; n++) await lives.state.keep(message("y", `message ${n}`));
  for (let n = 0; n < 20; n++) await lives.state.keep(message("x", `message ${n}`));
  for (const topic of ["1", "2", "3", "4"])
    await lives.state.keep(message(topic, "r", { retain: true }));
  const { sessions, subscriptions, queuedBytes, retained, dropped } = lives.state.use();
  t.match({ sessions, subscriptions, retained }, { sessions: 2, subscriptions: 3, retained: 2 });
  t.ok(queuedBytes <= 1_500);
  t.same((await queued(lives.state, "a")).slice(0, 2), ["message 0", "message 1"], "oldest stay");
  const kept = lives.state.use().queuedMessages;
  t.equal(dropped, 52 - kept + 2);
  const said = lives.log.lines.map(({ message }) => /mqtt\.broker\.\w+/.exec(message)?.[0]);
  t.equal(said.length, 5);
  for (const setting of ["queuedBytesMax", "queuedBytesPerSessionMax", "retainedMax"])
    t.ok(said.includes(`mqtt.broker.${setting}`), setting);
  for (const setting of ["sessionsMax", "subscriptionsPerSessionMax"])
    t.ok(said.includes(`mqtt.broker.${setting}`), setting);
});

t.test("a full disk refuses what it can not keep, and forgets nothing else", async (t) => {
  const lives = await Lives.begin();
  await lives.state.addSubscriptions(client("a"), [{ topic: "x", qos: 1 }]);
  await lives.state.keep(message("x", "before"));
  const use = lives.state.use();
  lives.store.disk.bytesMax = 0;
  await t.rejects(lives.state.keep(message("x", "lost")), { code: "store.full" });
  await lives.state.putWill(client("a"), message("gone", "1"));
  t.same(lives.state.use(), use);
  lives.state.left(client("a", 60));
  await lives.clock.advance(1_000);
  lives.store.disk.bytesMax = Number.POSITIVE_INFINITY;
  await lives.state.keep(message("x", "after"));
  await lives.clock.advance(6_000);
  await lives.crash();
  t.same(await queued(lives.state, "a"), ["before", "after"]);
  t.match(await lives.state.getWill(client("a")), { topic: "gone" }, "written when the disk could");
  await lives.clock.advance(70_000);
  t.equal(lives.state.use().sessions, 0, "that its client left was written when the disk could");
});

t.test("damage is set aside", async (t: Test) => {
  const lives = await Lives.begin();
  await lives.state.addSubscriptions(client("a"), [{ topic: "x", qos: 2 }]);
  await lives.state.addSubscriptions(client("b"), [{ topic: "x", qos: 1 }]);
  for (const text of ["1", "2", "3"])
    await lives.state.keep(message("x", text, { qos: 2, retain: true }));
  await lives.state.putWill(client("a"), message("gone", "1"));
  const delivery = (await lives.state.outgoingStream(client("a")).toArray())[0] as Message;
  await lives.state.outgoingUpdate(client("a"), { ...delivery, messageId: 1 });
  const entries = lives.store.disk.range({ gte: "b/", lt: "b0", limit: 99 });
  const spoilt = ["b/epoch", "b/f/", "b/q/000001/", "b/r/", "b/s/000002", "b/w/"].map(
    (prefix) => entries.find(([key]) => key.startsWith(prefix))![0],
  );
  for (const [at, key] of spoilt.entries())
    lives.store.disk.apply(
      [
        {
          type: "put",
          key,
          value: at % 2 === 0 ? new Uint8Array([1, 255, 0]) : Buffer.from("null"),
        },
      ],
      true,
    );
  await lives.restart();
  t.same(await queued(lives.state, "a"), ["2", "3"]);
  t.match(lives.state.use(), { sessions: 1, queuedMessages: 2, retained: 0, damaged: 5 });
  t.equal(lives.log.lines.filter(({ level }) => level === "warn").length, 5);
  await lives.clock.advance(1_000);
  const aside = lives.store.disk.range({ gte: "b/x/", lt: "b/x0", limit: 99 });
  t.same(
    aside.map(([key]) => key.slice(4)),
    spoilt.slice(1).sort(),
  );
  await lives.restart();
  t.match(lives.state.use(), { sessions: 1, damaged: 0 });
});
