import t from "tap";
import { startAgent } from "../../src/agent/compose.ts";
import { resolveConfig } from "../../src/config/resolve.ts";
import type { OutboundUpdate } from "../../src/platform/uplink-connection.ts";
import { VirtualWorld } from "../../src/simulator/virtual-platform.ts";

const HOUR_MS = 3_600_000;
const UPLINK = ["uplinks.0.name=cloud", "uplinks.0.kind=mqtt", "uplinks.0.url=mqtt://cloud:1883"];

/** What a deduplicating receiver keeps, per stream, and whether sequences came in order. */
function afterDeduplication(received: readonly OutboundUpdate[]) {
  const streams = new Map<string, number[]>();
  const seen = new Set<string>();
  let repeats = 0;
  for (const update of received) {
    if (seen.has(update.id)) {
      repeats++;
      continue;
    }
    seen.add(update.id);
    streams.set(update.stream, [...(streams.get(update.stream) ?? []), update.sequence]);
  }
  return { streams, repeats };
}

t.test("a virtual day: outage, restart, discharge and charge; nothing is lost", async (t) => {
  const world = new VirtualWorld("day-1");
  world.device.battery = { chargePercent: 100, charging: false };
  const config = resolveConfig({ sets: UPLINK });
  let agent = await startAgent(config, "virtual-1", world.platform());
  const modes: string[] = [];
  const minutesIn = new Map<string, number>();
  const samplesIn = new Map<string, number>();
  let charge = 100;
  let acknowledged = 0;
  let refused = 0;

  for (let minute = 0; minute < 24 * 60; minute++) {
    // 4:00 to 9:00 without a link; at 6:00 the agent restarts; the battery is charged from 16:00.
    if (minute === 4 * 60) world.receiver.reachable = false;
    if (minute === 6 * 60) {
      const stopped = agent.stop();
      await world.clock.advance(1_000);
      await stopped;
      agent = await startAgent(config, "virtual-1", world.platform());
    }
    if (minute === 9 * 60) world.receiver.reachable = true;
    const charging = minute >= 16 * 60;
    charge = Math.min(100, Math.max(1, charging ? charge + 0.5 : charge - 0.104));
    world.device.battery = { chargePercent: charge, charging };
    for (const stream of ["sensors/room/temp", "sensors/door"]) {
      const taken = world.broker.receive(stream, Buffer.from(String(minute)));
      await world.clock.advance(30_000);
      if ((await taken) === undefined) acknowledged++;
      else refused++;
    }
    const { mode } = agent.context.device.power();
    if (modes.at(-1) !== mode) modes.push(mode);
    minutesIn.set(mode, (minutesIn.get(mode) ?? 0) + 1);
    samplesIn.set(mode, (samplesIn.get(mode) ?? 0) + world.device.samples);
    world.device.samples = 0;
  }
  await world.clock.advance(2 * HOUR_MS);
  t.equal(refused, 0, "every reading was taken");
  t.equal(acknowledged, 2 * 24 * 60);
  t.match(modes, ["normal", "saving", "aggressive", "critical"], "the discharge walks the modes");
  t.equal(modes.at(-1), "normal", "charging brings it back");

  const { streams } = afterDeduplication(world.receiver.received);
  for (const stream of ["sensors/room/temp", "sensors/door"]) {
    const expected = Array.from({ length: 24 * 60 }, (_, index) => index + 1);
    t.strictSame(streams.get(stream), expected, `${stream}: complete and in order`);
  }
  t.equal(agent.context.queue.status().updates, 0, "the outbox is empty in the end");
  const perMinute = (mode: string) =>
    (samplesIn.get(mode) ?? 0) / (minutesIn.get(mode) ?? Number.NaN);
  t.ok(perMinute("normal") > 5, "six looks a minute in normal mode");
  t.ok(perMinute("critical") < 0.2, "one every ten minutes when the battery is nearly empty");
  const stopped = agent.stop();
  await world.clock.advance(10_000);
  await stopped;
  t.strictSame(world.clock.waiting, [], "a stopped agent leaves no timer behind");
  t.match(world.receiver.states.at(-1), /"offline"/, "and says that it is gone");
});

t.test("the same seed makes the same day", async (t) => {
  const day = async () => {
    const world = new VirtualWorld("twice");
    const agent = await startAgent(resolveConfig({ sets: UPLINK }), "virtual-1", world.platform());
    world.receiver.reachable = false;
    for (let minute = 0; minute < 120; minute++) {
      if (minute === 60) world.receiver.reachable = true;
      void world.broker.receive("sensors/a", Buffer.from(String(minute)));
      await world.clock.advance(60_000);
    }
    const trace = JSON.stringify([
      world.receiver.received.map(({ id, observedAtMs }) => [id, observedAtMs]),
      world.logged,
    ]);
    const stopped = agent.stop();
    await world.clock.advance(10_000);
    await stopped;
    return trace;
  };
  t.equal(await day(), await day());
});

t.test("a low battery lets readings gather; urgent ones leave at once", async (t) => {
  const world = new VirtualWorld("batches");
  world.device.battery = { chargePercent: 10, charging: false };
  const arrivals = new Map<string, Set<number>>();
  world.receiver.verdict = ({ stream }) => {
    const moments = arrivals.get(stream) ?? new Set();
    arrivals.set(stream, moments.add(Math.round(world.clock.monotonicMs() / 1_000)));
    return { kind: "acknowledged" };
  };
  const sets = [
    ...UPLINK,
    "mqtt.topics.0.filter=sensors/#",
    "mqtt.topics.1.filter=alarms/#",
    "mqtt.topics.1.priority=9",
  ];
  const agent = await startAgent(resolveConfig({ sets }), "virtual-1", world.platform());
  await world.clock.advance(60_000);
  t.equal(agent.context.device.power().mode, "aggressive");
  arrivals.clear();
  for (let tick = 0; tick < 180; tick++) {
    void world.broker.receive("sensors/room", Buffer.from(String(tick)));
    if (tick === 50) void world.broker.receive("alarms/smoke", Buffer.from("on"));
    if (tick === 50) {
      await world.clock.advance(1_000);
      t.equal(arrivals.get("alarms/smoke")?.size, 1, "the alarm did not wait");
      await world.clock.advance(9_000);
    } else await world.clock.advance(10_000);
  }
  const bursts = arrivals.get("sensors/room")?.size ?? 0;
  t.ok(bursts >= 4 && bursts <= 7, `half an hour of readings left in ${bursts} bursts`);

  world.device.battery = { chargePercent: 90, charging: true };
  await world.clock.advance(1_200_000);
  t.equal(agent.context.device.power().mode, "normal");
  arrivals.clear();
  for (let tick = 0; tick < 30; tick++) {
    void world.broker.receive("sensors/room", Buffer.from(String(tick)));
    await world.clock.advance(10_000);
  }
  t.equal(arrivals.get("sensors/room")?.size, 30, "on mains every reading leaves as it comes");
  const stopped = agent.stop();
  await world.clock.advance(10_000);
  await stopped;
});
