import t from "tap";
import { Announcer } from "../../../../src/platform/mqtt/home-assistant/announcer.ts";
import {
  type DiscoveryMessage,
  discoveryMessage,
  type Entity,
  manufacturerOf,
} from "../../../../src/platform/mqtt/home-assistant/entity.ts";
import { guessClass } from "../../../../src/platform/mqtt/home-assistant/sensor-classes.ts";
import { MemoryKeyValueStore } from "../../../../src/simulator/memory-key-value-store.ts";
import { VirtualClock } from "../../../../src/simulator/virtual-clock.ts";
import { outbound } from "../../../conformance/uplink-connection.ts";
import { keptLog } from "../../../support/kept-log.ts";
import { eventually } from "../../../support/mosquitto.ts";

const DEVICE = { agentId: "pi-1", version: "1.2.3", model: "Raspberry Pi 4 Model B Rev 1.4" };
const WIRE = { prefix: "homeassistant", topicPrefix: "agent-mesh/pi-1/", enveloped: false };
const entity = (over: Partial<Entity> = {}): Entity => ({
  stream: "sensors/room/climate",
  path: ["temp"],
  kind: "number",
  json: true,
  ...over,
});
const configOf = (over: Partial<Entity> = {}, enveloped = false) => {
  const { topic, payload } = discoveryMessage(entity(over), DEVICE, { ...WIRE, enveloped });
  const config = JSON.parse(payload) as Record<string, unknown>;
  return { ...config, topic } as Record<string, unknown>;
};

t.test(
  "an entity is configured under its agent, with class, availability and device",
  async (t) => {
    t.same(configOf(), {
      topic: "homeassistant/sensor/pi-1/sensors_room_climate_temp_0d3a3715/config",
      name: "sensors/room/climate temp",
      unique_id: "agent-mesh_pi-1_sensors_room_climate_temp_0d3a3715",
      state_topic: "agent-mesh/pi-1/sensors/room/climate",
      value_template: "{{ value_json['temp'] | default('') }}",
      qos: 1,
      device_class: "temperature",
      unit_of_measurement: "°C",
      state_class: "measurement",
      availability: [
        {
          topic: "agent-mesh/pi-1/$state",
          value_template: "{{ 'offline' if value_json.state == 'offline' else 'online' }}",
        },
      ],
      device: {
        identifiers: ["agent-mesh_pi-1"],
        name: "pi-1",
        model: "Raspberry Pi 4 Model B Rev 1.4",
        sw_version: "1.2.3",
      },
      origin: { name: "Agent Mesh", sw_version: "1.2.3" },
    });
    t.match(configOf({ kind: "boolean" }).topic, /^homeassistant\/binary_sensor\/pi-1\//);
  },
);

t.test("templates take the value out of what is really sent", async (t) => {
  const template = (over: Partial<Entity>, enveloped = false) =>
    configOf(over, enveloped)["value_template"];
  t.equal(template({ path: ["a", "b c"] }), "{{ value_json['a']['b c'] | default('') }}");
  t.equal(template({ path: [] }), "{{ value_json | default('') }}");
  t.equal(template({ path: [], json: false }), "{{ value | default('') }}");
  t.equal(template({ path: [] }, true), "{{ value_json['payload'] | default('') }}");
  t.equal(template({ path: [], json: false }, true), "{{ value_json['payload'] | default('') }}");
  t.equal(template({ kind: "boolean" }), "{{ 'ON' if value_json['temp'] else 'OFF' }}");
  t.equal(
    template({ kind: "boolean", path: [], json: false }),
    "{{ 'ON' if value == 'true' else 'OFF' }}",
  );
  t.match(template({ kind: "text" }), /\[:255\]/);
  t.equal(
    template({ path: ["it's }} {% set x %}"] }),
    "{{ value_json['it\\x27s \\x7d\\x7d \\x7b\\x25 set x \\x25\\x7d'] | default('') }}",
  );
});

t.test("ids have only what Home Assistant allows, and stay apart", async (t) => {
  const streams = ["a/b", "a_b", "a-b", "a b", "ä", "é", "x".repeat(300), `${"x".repeat(300)}y`];
  const ids = streams.map((stream) => String(configOf({ stream, path: [] })["unique_id"]));
  t.equal(new Set(ids).size, streams.length);
  for (const id of ids) t.match(id, /^[a-zA-Z0-9_-]{1,140}$/);
});

t.test("names suggest classes by whole words, the last one first", async (t) => {
  const classOf = (name: string) => {
    const { device_class, unit_of_measurement, state_class } = guessClass(name);
    return `${device_class} ${unit_of_measurement} ${state_class}`;
  };
  for (const [name, expected] of [
    ["temperature", "temperature °C measurement"],
    ["tempF_fahrenheit", "temperature °F measurement"],
    ["batteryVolts", "voltage V measurement"],
    ["battery_percent", "battery % measurement"],
    ["rh", "humidity % measurement"],
    ["supply mV", "voltage mV measurement"],
    ["energy_kwh", "energy kWh total_increasing"],
    ["cpuPercent", "undefined % measurement"],
    ["attempts", "undefined undefined measurement"],
    ["template", "undefined undefined measurement"],
  ] as const)
    t.equal(classOf(name), expected, name);
  t.equal(manufacturerOf(["raspberrypi,4-model-b", "brcm,bcm2711"]), "Raspberry Pi");
  t.equal(manufacturerOf(["acme,board"]), "acme");
  t.equal(manufacturerOf([]), undefined);
});

/** An announcer on a store that outlives it, and what it published. */
function announcing(
  store: MemoryKeyValueStore,
  clock: VirtualClock,
  over: Partial<ConstructorParameters<typeof Announcer>[0]> = {},
) {
  const log = keptLog();
  const announcer = new Announcer({
    enabled: true,
    prefix: "homeassistant",
    entitiesMax: 5,
    forgetAfterDays: 2,
    uplinkName: "up",
    device: DEVICE,
    store,
    clock,
    logger: log,
    ...over,
  });
  const published: DiscoveryMessage[] = [];
  announcer.connected({
    topicPrefix: "agent-mesh/pi-1/",
    enveloped: false,
    publishRetained: (message) => published.push(message),
  });
  const see = (stream: string, payload: unknown, contentType = "application/json") =>
    announcer.saw(
      outbound(1, { stream, contentType, payload: Buffer.from(JSON.stringify(payload)) }),
    );
  return { announcer, published, see, log };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));
const DAY_MS = 86_400_000;

t.test(
  "values are announced once, again when Home Assistant starts, and never too many",
  async (t) => {
    const { announcer, published, see, log } = announcing(
      new MemoryKeyValueStore(),
      new VirtualClock(),
    );
    await settled();
    for (let n = 0; n < 10; n++) see("a", { temp: n, ok: true, gone: null });
    t.equal(published.length, 2);
    announcer.heard(Buffer.from("offline"));
    t.equal(published.length, 2);
    announcer.heard(Buffer.from("online"));
    t.same(published.slice(2), published.slice(0, 2));
    see("b", { x: 1, y: 2, z: 3, more: 4 });
    see("c", 5);
    t.equal(published.length, 7, "five entities are all there may be");
    t.equal(
      log.lines.filter(({ message }) => message.includes("entitiesMax")).length,
      1,
      "said once",
    );
    announcer.disconnected();
    announcer.heard(Buffer.from("online"));
    t.equal(published.length, 7);
  },
);

t.test("bytes and payloads that do not parse make no entities", async (t) => {
  const { announcer, published } = announcing(new MemoryKeyValueStore(), new VirtualClock());
  await settled();
  const payload = Buffer.from([0xff, 0]);
  announcer.saw(outbound(1, { payload, contentType: "application/octet-stream" }));
  announcer.saw(outbound(1, { payload, contentType: "application/json" }));
  announcer.saw(outbound(1, { payload: Buffer.from("{"), contentType: "application/json" }));
  t.same(published, []);
});

t.test(
  "entities come back after a restart, and go when their stream is gone or the setting is",
  async (t) => {
    const store = new MemoryKeyValueStore();
    const clock = new VirtualClock();
    const first = announcing(store, clock);
    await settled();
    first.see("quiet", { temp: 1 });
    first.see("lively", { temp: 1 });
    await settled();
    await clock.advance(2 * DAY_MS);
    const second = announcing(store, clock);
    await eventually(() => second.published.length === 2);
    t.same(new Set(second.published), new Set(first.published));
    second.see("lively", { temp: 2 });
    await settled();
    await clock.advance(DAY_MS);
    second.see("lively", { temp: 2 });
    const quiet = first.published[0]?.topic;
    t.same(second.published.slice(2), [{ topic: quiet, payload: "" }], "silent for over two days");
    await settled();
    const moved = announcing(store, clock, { prefix: "ha" });
    await eventually(() => moved.published.length === 2);
    t.equal(moved.published[0]?.payload, "", "taken back under the old prefix");
    t.match(moved.published[1]?.topic, /^ha\//);
    await settled();
    const off = announcing(store, clock, { enabled: false });
    await eventually(() => off.published.length === 1);
    t.same(off.published, [{ topic: moved.published[1]?.topic, payload: "" }]);
    await settled();
    const still = announcing(store, clock, { enabled: false });
    await settled();
    t.same(still.published, [], "once");
  },
);

t.test("a clock that is not trusted makes nothing look old", async (t) => {
  const store = new MemoryKeyValueStore();
  const clock = new VirtualClock();
  clock.trusted = false;
  const first = announcing(store, clock);
  await settled();
  first.see("a", { temp: 1 });
  await settled();
  clock.trusted = true;
  const second = announcing(store, clock);
  await eventually(() => second.published.length > 0);
  t.same(second.published, first.published);
});
