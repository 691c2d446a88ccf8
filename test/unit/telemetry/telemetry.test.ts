import t from "tap";
import { silentLogger } from "../../../src/platform/silent-logger.ts";
import { VirtualClock } from "../../../src/simulator/virtual-clock.ts";
import { EventLog } from "../../../src/telemetry/event-log.ts";
import { createTestContext } from "../../support/api-context.ts";

t.test("events: listeners hear what happens, latecomers what they missed", async (t) => {
  const clock = new VirtualClock();
  const log = new EventLog({ clock, logger: silentLogger });
  const heard: number[] = [];
  const end = log.subscribe((event) => void heard.push(event.id));
  log.subscribe(() => {
    throw new Error("a listener's own trouble");
  });
  const begin = log.lastId;
  for (let index = 0; index < 3; index += 1) log.emit("readings.received", { index });
  end();
  log.emit("readings.received", { index: 3 });
  t.same(heard, [begin + 1, begin + 2, begin + 3]);
  t.same(log.since(begin + 2), {
    events: [begin + 3, begin + 4].map((id) => ({
      id,
      type: "readings.received",
      atMs: clock.wallMs(),
      data: { index: id - begin - 1 },
    })),
    missed: false,
  });
  t.equal(log.since(log.lastId).missed, false);
});

t.test("events: the newest 1,000 are kept, and gaps are told", async (t) => {
  const log = new EventLog({ clock: new VirtualClock(), logger: silentLogger });
  const begin = log.lastId;
  for (let index = 0; index < 3_500; index += 1) log.emit("queue.shed", {});
  const { events, missed } = log.since(begin);
  t.equal(events.length, 1_000);
  t.equal(events.at(-1)?.id, log.lastId);
  t.equal(missed, true);
  t.equal(log.since(log.lastId - 1_000).missed, false);
});

t.test(
  "events: ids of a later run are larger, and another run's id is told as a gap",
  async (t) => {
    const clock = new VirtualClock();
    const first = new EventLog({ clock, logger: silentLogger });
    first.emit("agent.started", {});
    await clock.advance(1);
    const second = new EventLog({ clock, logger: silentLogger });
    second.emit("agent.started", {});
    t.ok(second.lastId > first.lastId);
    t.equal(second.since(first.lastId).missed, true);
    t.equal(second.since(first.lastId).events.length, 1);
    t.equal(second.since(second.lastId + 5).missed, true, "the clock went back between runs");
  },
);

t.test("metrics: what the device lacks has no sample", async (t) => {
  const { context, world } = await createTestContext();
  const before = (await context.metrics.expose()).body;
  t.match(before, "agent_mesh_cpu_used_ratio 0.125");
  t.match(before, 'agent_mesh_temperature_celsius{zone="cpu-thermal"} 48.2');
  t.match(before, "agent_mesh_under_voltage 0");
  t.match(before, 'agent_mesh_uplink_up{uplink="cloud"} 1');
  t.match(before, 'agent_mesh_power_mode{mode="saving"} 0');
  t.notMatch(before, /^agent_mesh_throttled \d/m);
  t.notMatch(before, /^agent_mesh_battery_charge_ratio \d/m);
  world.snapshot = undefined;
  const after = (await context.metrics.expose()).body;
  t.notMatch(after, /^agent_mesh_cpu_used_ratio \d/m);
  t.match(after, "agent_mesh_readings_received_total 3");
  t.match(after, "agent_mesh_metric_sources_failed 0");
});
