// Several uplinks of one agent, in virtual time.
import t, { type Test } from "tap";
import { type Agent, startAgent } from "../../src/agent/compose.ts";
import { resolveConfig } from "../../src/config/resolve.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import type { OutboundUpdate } from "../../src/platform/uplink-connection.ts";
import { VirtualWorld } from "../../src/simulator/virtual-platform.ts";
import { VirtualReceiver } from "../../src/simulator/virtual-uplink.ts";

const HOUR_MS = 3_600_000;

/** A world with one receiver per uplink, and settings for them. */
function worldWith(seed: string, uplinks: Readonly<Record<string, readonly string[]>>) {
  const world = new VirtualWorld(seed);
  const sets = Object.entries(uplinks).flatMap(([name, more], at) => {
    world.receivers.set(name, new VirtualReceiver(world.clock));
    return [`name=${name}`, "kind=mqtt", `url=mqtt://${name}`, ...more].map(
      (set) => `uplinks.${at}.${set}`,
    );
  });
  const receiver = (name: string): VirtualReceiver => {
    const found = world.receivers.get(name);
    if (found === undefined) throw new Error(`no receiver ${name}`);
    return found;
  };
  const start = (more: readonly string[] = []): Promise<Agent> =>
    startAgent(
      resolveConfig({ sets: ["mqtt.deviceReadings=false", ...sets, ...more] }),
      "agent-1",
      world.platform(),
    );
  const publish = (topic: string, text: string): void => {
    void world.broker.receive(topic, Buffer.from(text));
  };
  const stop = async (agent: Agent): Promise<void> => {
    const stopped = agent.stop();
    await world.clock.advance(10_000);
    await stopped;
  };
  return { world, receiver, start, publish, stop };
}

const status = (agent: Agent, name: string) => {
  const found = agent.context.uplinks.status().find((uplink) => uplink.name === name);
  if (found === undefined) throw new Error(`no uplink ${name}`);
  return found;
};

const sequences = (updates: readonly OutboundUpdate[]) => updates.map(({ sequence }) => sequence);

/** What all receivers together have, in order of first arrival; throws when a stream is out of order. */
function onceInOrder(t: Test, received: readonly OutboundUpdate[], count: number): number {
  const seen = new Set<string>();
  const last = new Map<string, number>();
  let repeats = 0;
  let outOfOrder = 0;
  for (const { id, stream, sequence } of received) {
    if (seen.has(id)) {
      repeats++;
      continue;
    }
    seen.add(id);
    if (sequence !== (last.get(stream) ?? 0) + 1) outOfOrder++;
    last.set(stream, sequence);
  }
  t.equal(seen.size, count, "each is there");
  t.equal(outOfOrder, 0, "each stream in order");
  return repeats;
}

t.test("10,000 updates over two links that come and go: each once, in order", async (t) => {
  const { world, receiver, start, publish, stop } = worldWith("links", {
    fibre: ["failbackAfterMs=20000"],
    lte: [],
  });
  const arrivals: OutboundUpdate[] = [];
  for (const name of ["fibre", "lte"])
    receiver(name).verdict = (update) => {
      arrivals.push(update);
      return { kind: "acknowledged" };
    };
  const random = new SeededRandom("weather");
  const agent = await start();
  for (let n = 0; n < 10_000; n++) {
    publish(`sensors/${n % 7}`, String(n));
    if (n % 500 === 499)
      for (const name of ["fibre", "lte"]) receiver(name).reachable = random.next() < 0.6;
    await world.clock.advance(50);
  }
  for (const name of ["fibre", "lte"]) receiver(name).reachable = true;
  await world.clock.advance(300_000);
  const repeats = onceInOrder(t, arrivals, 10_000);
  t.ok(repeats < 1_000, `${repeats} repeats, of what was on the way when a link was cut`);
  const lte = receiver("lte").received.length;
  t.ok(lte > 500 && receiver("fibre").received.length > 500, `${lte} of them went over the second`);
  t.equal(agent.context.queue.status().updates, 0);
  t.ok(status(agent, "lte").takeovers > 0);
  t.equal(status(agent, "fibre").active, true, "in the end the better one has it");
  await stop(agent);
  t.same(world.clock.waiting, [], "no timer is left behind");
});

t.test(
  "coming back to the better link repeats nothing, and a link that flaps is not trusted",
  async (t) => {
    const { world, receiver, start, publish, stop } = worldWith("flap", {
      fibre: ["failbackAfterMs=10000", "retryMaxMs=1000"],
      lte: [],
    });
    const agent = await start();
    const tick = async (ms: number): Promise<void> => {
      for (let at = 0; at < ms; at += 100) {
        publish("sensors/a", String(at));
        await world.clock.advance(100);
      }
    };
    await tick(5_000);
    receiver("fibre").reachable = false;
    await tick(5_000);
    t.equal(status(agent, "lte").active, true);
    receiver("fibre").reachable = true;
    await tick(8_000);
    t.equal(status(agent, "fibre").state, "up");
    t.equal(status(agent, "lte").active, true, "not yet");
    const before = [...receiver("fibre").received, ...receiver("lte").received].length;
    const ids = new Set(
      [...receiver("fibre").received, ...receiver("lte").received].map((u) => u.id),
    );
    t.ok(before - ids.size < 10, "repeats of the cut alone");
    await tick(30_000);
    t.equal(status(agent, "fibre").active, true);
    const all = [...receiver("fibre").received, ...receiver("lte").received];
    t.equal(
      all.length - new Set(all.map(({ id }) => id)).size,
      before - ids.size,
      "no new repeats",
    );

    // From now on it falls over as soon as it has carried something for a second.
    let takeovers = status(agent, "lte").takeovers;
    const flap = (): void => {
      if (!status(agent, "fibre").active) return;
      receiver("fibre").reachable = false;
      receiver("fibre").reachable = true;
    };
    for (let second = 0; second < 1_200; second++) {
      await tick(1_000);
      flap();
    }
    takeovers = status(agent, "lte").takeovers - takeovers;
    t.ok(takeovers >= 3 && takeovers < 9, `${takeovers} takeovers in twenty minutes of flapping`);
    await stop(agent);
  },
);

t.test("a cold link is dialled for what it may carry, and not before", async (t) => {
  const { world, receiver, start, publish, stop } = worldWith("cold", {
    lte: ["standby=cold", "updatePriorityMin=7"],
    fibre: ["priority=1", "failbackAfterMs=10000"],
  });
  const topics = [
    "mqtt.topics.0.filter=sensors/#",
    "mqtt.topics.1.filter=alarms/#",
    "mqtt.topics.1.priority=9",
  ];
  const agent = await start(topics);
  await world.clock.advance(1_000);
  t.match(agent.context.uplinks.status(), [
    { name: "fibre", state: "up", active: true },
    { name: "lte", state: "idle", attempts: 0, reason: /in reserve/ },
  ]);
  receiver("fibre").reachable = false;
  publish("sensors/a", "1");
  await world.clock.advance(60_000);
  t.match(status(agent, "lte"), { state: "idle", attempts: 0 }, "nothing that it may carry waits");
  publish("alarms/smoke", "on");
  await world.clock.advance(1_000);
  t.same(
    receiver("lte").received.map(({ stream }) => stream),
    ["alarms/smoke"],
  );
  t.equal(agent.context.queue.status().updates, 1, "the other waits for a better link");
  receiver("fibre").reachable = true;
  await world.clock.advance(120_000);
  t.same(
    receiver("fibre").received.map(({ stream }) => stream),
    ["sensors/a"],
  );
  t.match(status(agent, "lte"), { state: "idle", active: false });
  await stop(agent);
});

t.test(
  "a receiver that takes nothing loses its turn; one that asks for a moment keeps it",
  async (t) => {
    const { world, receiver, start, publish, stop } = worldWith("stall", {
      first: ["stallTimeoutMs=5000", "refusalsMax=3", "failbackAfterMs=60000"],
      second: [],
    });
    const agent = await start();
    await world.clock.advance(1_000);
    let asked = 0;
    receiver("first").verdict = () =>
      ++asked <= 2
        ? { kind: "refused", permanent: false, reason: "busy", retryAfterMs: 2_000 }
        : { kind: "acknowledged" };
    publish("sensors/a", "1");
    await world.clock.advance(1_900);
    t.match(status(agent, "first"), { state: "waiting", reason: /busy/ });
    t.equal(asked, 1, "it is left alone for as long as it wished");
    t.equal(status(agent, "second").active, false);
    await world.clock.advance(10_000);
    t.same(sequences(receiver("second").received), [], "nobody took its place");
    t.equal(agent.context.queue.status().updates, 0);

    receiver("first").verdict = () => ({ kind: "refused", permanent: false, reason: "busy" });
    publish("sensors/a", "2");
    await world.clock.advance(60_000);
    t.same(sequences(receiver("second").received), [2], "the third time, somebody did");
    receiver("first").verdict = () => "lose-acknowledgement";
    await world.clock.advance(HOUR_MS);
    t.equal(status(agent, "first").active, true);
    publish("sensors/a", "3");
    await world.clock.advance(4_000);
    t.equal(agent.context.queue.status().updates, 1);
    await world.clock.advance(10_000);
    t.match(status(agent, "second"), { active: true });
    t.same(sequences(receiver("second").received), [2, 3]);
    t.equal(agent.context.queue.status().updates, 0);
    await stop(agent);
  },
);

t.test(
  "bytes of the day: the next link takes over, restarts change nothing, midnight does",
  async (t) => {
    const { world, receiver, start, publish, stop } = worldWith("day", {
      metered: ["bytesPerDayMax=10000", "standby=connected", "failbackAfterMs=0"],
      slow: ["updatesPerSecondMax=2"],
    });
    const dayMs = 24 * HOUR_MS;
    let agent = await start();
    for (let n = 0; n < 150; n++) {
      publish("sensors/a", "x".repeat(100));
      await world.clock.advance(1_000);
    }
    const first = receiver("metered").received.length;
    t.ok(first >= 95 && first <= 110, `${first} updates of 100 bytes`);
    t.match(status(agent, "metered"), {
      state: "idle",
      reason: /bytesPerDayMax is used up/,
      dayBytesMax: 10_000,
    });
    t.equal(status(agent, "slow").active, true);
    await stop(agent);
    agent = await start();
    publish("sensors/a", "x");
    await world.clock.advance(5_000);
    t.equal(receiver("metered").received.length, first, "kept across a restart");
    await world.clock.advance(dayMs - (world.clock.wallMs() % dayMs) + 1_000);
    publish("sensors/a", "x");
    await world.clock.advance(5_000);
    t.equal(receiver("metered").received.length, first + 1, "a new day");

    receiver("metered").reachable = false;
    const before = receiver("slow").received.length;
    for (let n = 0; n < 100; n++) publish("sensors/a", "x");
    await world.clock.advance(20_000);
    const slow = receiver("slow").received.length - before;
    t.ok(slow >= 36 && slow <= 44, `${slow} updates in twenty seconds at two a second`);
    await stop(agent);
  },
);

t.test("bytes of the day that are used up in mid-stream end the stream of updates", async (t) => {
  const { world, receiver, start, publish, stop } = worldWith("burst", {
    metered: ["bytesPerDayMax=10000", "standby=connected"],
    other: [],
  });
  const agent = await start();
  await world.clock.advance(1_000);
  for (let n = 0; n < 1_000; n++) publish("sensors/a", "x".repeat(100));
  await world.clock.advance(10_000);
  const count = receiver("metered").received.length;
  t.ok(count < 150, `${count} updates of 100 bytes, however many were waiting`);
  t.equal(receiver("other").received.length, 1_000 - count, "each once");
  await stop(agent);
});

t.test("between batches the radio sleeps; what is urgent wakes it", async (t) => {
  const { world, receiver, start, publish, stop } = worldWith("sleep", { cloud: [] });
  world.device.battery = { chargePercent: 10, charging: false };
  const topics = [
    "mqtt.topics.0.filter=sensors/#",
    "mqtt.topics.1.filter=alarms/#",
    "mqtt.topics.1.priority=9",
  ];
  const agent = await start(topics);
  await world.clock.advance(10_000);
  t.equal(agent.context.device.power().mode, "aggressive");
  t.match(status(agent, "cloud"), { state: "idle", reason: /asleep/ });
  let awakeMs = 0;
  for (let at = 0; at < HOUR_MS; at += 1_000) {
    if (at % 10_000 === 0) publish("sensors/a", String(at));
    await world.clock.advance(1_000);
    if (status(agent, "cloud").state !== "idle") awakeMs += 1_000;
  }
  const { attempts } = status(agent, "cloud");
  t.ok(attempts >= 10 && attempts <= 13, `${attempts} connections in an hour of 300 s batches`);
  t.ok(awakeMs < 60_000, `awake for ${awakeMs} ms of it`);
  t.match(receiver("cloud").states.at(-1), /"asleep"/, "and the fleet is told");
  t.ok(receiver("cloud").received.length > 300);
  publish("alarms/smoke", "on");
  await world.clock.advance(1_000);
  t.ok(receiver("cloud").received.some(({ stream }) => stream === "alarms/smoke"));
  await world.clock.advance(1_000);
  t.equal(status(agent, "cloud").state, "idle");
  publish("sensors/a", "flushed");
  await world.clock.advance(100);
  agent.context.uplinks.flush();
  await world.clock.advance(1_000);
  t.equal(agent.context.queue.status().updates, 0, "a flush wakes it too");
  await stop(agent);
  t.same(world.clock.waiting, []);
});

t.test(
  "one acknowledgement that never comes ends the connection before it costs memory",
  async (t) => {
    const { world, receiver, start, publish, stop } = worldWith("lost-ack", {
      cloud: ["stallTimeoutMs=5000", "retryMaxMs=1000"],
    });
    const cloud = receiver("cloud");
    let lost = false;
    cloud.verdict = ({ sequence }) => {
      if (sequence !== 1 || lost) return { kind: "acknowledged" };
      lost = true;
      return "lose-acknowledgement";
    };
    const agent = await start(["outbox.bytesMax=1073741824"]);
    const count = 70_000;
    let most = 0;
    for (let sent = 0; sent < count; ) {
      for (let burst = 0; burst < 1_000; burst++, sent++) publish("sensors/a", String(sent));
      await world.clock.advance(500);
      most = Math.max(most, new Set(sequences(cloud.received)).size);
      if (lost && status(agent, "cloud").attempts > 1) break;
    }
    await world.clock.advance(60_000);
    t.ok(status(agent, "cloud").attempts > 1, "the connection was given up");
    t.ok(most <= 65_536, `nothing went beyond the bound: ${most}`);
    t.equal(agent.context.queue.status().updates, 0, "everything left");
    const repeats = cloud.received.filter(({ sequence }) => sequence === 1).length;
    t.equal(repeats, 2, "it was sent again");
    await stop(agent);
  },
);
