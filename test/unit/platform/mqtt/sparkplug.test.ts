import t from "tap";
import { Addresses, placeOf, streamOf } from "../../../../src/platform/mqtt/sparkplug/addresses.ts";
import { readCommand } from "../../../../src/platform/mqtt/sparkplug/commands.ts";
import {
  EdgeNode,
  type EdgeNodeOptions,
  type Outgoing,
} from "../../../../src/platform/mqtt/sparkplug/edge-node.ts";
import { HostPresence } from "../../../../src/platform/mqtt/sparkplug/host-presence.ts";
import { NodeMemory } from "../../../../src/platform/mqtt/sparkplug/node-memory.ts";
import type { OutboundUpdate } from "../../../../src/platform/uplink-connection.ts";
import { MemoryKeyValueStore } from "../../../../src/simulator/memory-key-value-store.ts";
import { outbound } from "../../../conformance/uplink-connection.ts";
import { keptLog } from "../../../support/kept-log.ts";
import { decode, encodeCommand, type SeenMetric } from "../../../support/sparkplug-host.ts";

const OPTIONS: EdgeNodeOptions = {
  groupId: "plant",
  edgeNodeId: "edge-1",
  deviceLevels: 0,
  aliases: false,
  metricsMax: 100,
  deviceSilenceMs: 0,
};
const NO_LIMIT = 1_000_000;
const T0 = 1_795_305_600_000;
const at = (ms: number) => ({ wallMs: T0 + ms, monotonicMs: ms });
const INT64 = 4;
const DOUBLE = 10;
const BOOLEAN = 11;
const STRING = 12;
const BYTES = 17;

function bornNode(over: Partial<EdgeNodeOptions> = {}): EdgeNode {
  const node = new EdgeNode({ ...OPTIONS, ...over });
  node.connecting(7, at(0));
  node.birth(at(0));
  return node;
}

function json(stream: string, value: unknown, over: Partial<OutboundUpdate> = {}): OutboundUpdate {
  const payload = Buffer.from(typeof value === "string" ? value : JSON.stringify(value));
  return outbound(1, {
    stream,
    payload,
    contentType: "application/json",
    observedAtMs: T0 + 5,
    ...over,
  });
}

const verbs = (messages: readonly Outgoing[]): string[] =>
  messages.map(
    ({ topic, payload }) => `${topic.split("/").toSpliced(0, 2).join("/")} ${decode(payload).seq}`,
  );
const metricsOf = ({ payload }: Outgoing): readonly SeenMetric[] => decode(payload).metrics;
const byName = (message: Outgoing, name: string) =>
  metricsOf(message).find((metric) => metric.name === name);

t.test(
  "the death certificate is the birth's: one metric, bdSeq, and no sequence number",
  async (t) => {
    const node = new EdgeNode(OPTIONS);
    const will = node.connecting(7, at(0));
    t.equal(will.topic, "spBv1.0/plant/NDEATH/edge-1");
    t.same(decode(will.payload), {
      timestampMs: T0,
      metrics: [
        {
          name: "bdSeq",
          timestampMs: T0,
          datatype: INT64,
          field: "longValue",
          value: 7,
          historical: false,
          isNull: false,
        },
      ],
    });
    const [birth] = node.birth(at(1));
    t.equal(birth?.topic, "spBv1.0/plant/NBIRTH/edge-1");
    t.equal(decode(birth!.payload).seq, 0);
    t.equal(byName(birth!, "bdSeq")?.value, 7);
    t.match(byName(birth!, "Node Control/Rebirth"), { datatype: BOOLEAN, value: false });
    t.equal(node.death(at(2)).topic, will.topic);
    t.notOk(node.born);
  },
);

t.test(
  "values become metrics: one per JSON field, typed, stamped with when they were observed",
  async (t) => {
    const node = bornNode();
    const payload = { temp: 21.5, ok: true, label: "n", list: [1, 2], deep: { er: 3 }, gone: null };
    const { publish } = node.data([json("room/climate", payload)], NO_LIMIT, at(9));
    t.same(
      verbs(publish),
      ["NBIRTH/edge-1 0", "NDATA/edge-1 1"],
      "unknown metrics are declared first",
    );
    const types = metricsOf(publish[0]!).map(({ name, datatype, isNull }) => [
      name,
      datatype,
      isNull,
    ]);
    t.same(
      types.filter(([name]) => String(name).startsWith("room")),
      [
        ["room/climate/temp", DOUBLE, true],
        ["room/climate/ok", BOOLEAN, true],
        ["room/climate/label", STRING, true],
        ["room/climate/list", STRING, true],
        ["room/climate/deep/er", DOUBLE, true],
        ["room/climate/gone", STRING, true],
      ],
    );
    t.same(
      metricsOf(publish[1]!).map(({ name, field, value, isNull }) => [name, field, value, isNull]),
      [
        ["room/climate/temp", "doubleValue", 21.5, false],
        ["room/climate/ok", "booleanValue", true, false],
        ["room/climate/label", "stringValue", "n", false],
        ["room/climate/list", "stringValue", "[1,2]", false],
        ["room/climate/deep/er", "doubleValue", 3, false],
        ["room/climate/gone", undefined, null, true],
      ],
    );
    t.ok(metricsOf(publish[1]!).every((metric) => metric.timestampMs === T0 + 5));
    t.ok(
      metricsOf(publish[1]!).every((metric) => metric.datatype === undefined),
      "data has no types",
    );
    t.equal(
      decode(publish[1]!.payload).timestampMs,
      T0 + 9,
      "the message is stamped when it is sent",
    );
  },
);

t.test("text is a number where it reads as one, and what is no text is bytes", async (t) => {
  const node = bornNode();
  const plain = (stream: string, text: string) => json(stream, text, { contentType: "text/plain" });
  const { publish } = node.data(
    [
      plain("a", " -1.5e3 "),
      plain("b", "true"),
      plain("c", "open"),
      json("d", "", { contentType: "application/octet-stream", payload: Buffer.from([0, 255]) }),
      json("e", "", { contentType: "text/plain", payload: Buffer.from([0xff]) }),
      json("f", "7", { contentType: "application/senml+json; charset=utf-8" }),
    ],
    NO_LIMIT,
    at(9),
  );
  const seen = publish.slice(1).flatMap(metricsOf);
  t.same(
    seen.map(({ name, field }) => [name, field]),
    [
      ["a", "doubleValue"],
      ["b", "booleanValue"],
      ["c", "stringValue"],
      ["d", "bytesValue"],
      ["e", "bytesValue"],
      ["f", "doubleValue"],
    ],
  );
  t.equal(seen[0]?.value, -1_500);
});

t.test(
  "what was observed before this connection's birth is historical, also after a rebirth",
  async (t) => {
    const node = bornNode();
    node.connecting(8, at(1_000));
    node.birth(at(1_000));
    const send = (observed: number, now: number) =>
      node.data([json("a", 1, { observedAtMs: T0 + observed })], NO_LIMIT, at(now)).publish.at(-1)!;
    t.equal(byName(send(999, 1_001), "a")?.historical, true);
    t.equal(byName(send(1_000, 1_002), "a")?.historical, false);
    node.rebirth(at(2_000));
    t.equal(byName(send(1_500, 2_001), "a")?.historical, false, "it never waited for a connection");
    t.equal(byName(send(500, 2_001), "a")?.historical, true);
  },
);

t.test(
  "births carry current values in order of time; an old value does not replace a newer one",
  async (t) => {
    const node = bornNode();
    node.data([json("new", 5, { observedAtMs: T0 + 30 })], NO_LIMIT, at(40));
    node.data([json("old", 6, { observedAtMs: T0 + 20 })], NO_LIMIT, at(40));
    node.data([json("new", 4, { observedAtMs: T0 - 10 })], NO_LIMIT, at(40));
    const [birth] = node.rebirth(at(50));
    t.match(byName(birth!, "new"), { value: 5, timestampMs: T0 + 30, historical: false });
    const stamps = metricsOf(birth!).map(({ timestampMs }) => timestampMs ?? 0);
    t.same(
      stamps,
      stamps.toSorted((a, b) => a - b),
    );
  },
);

t.test("sequence numbers run from the birth through 255 to 0", async (t) => {
  const node = bornNode();
  const updates = Array.from({ length: 300 }, () => json("a", 1));
  const { publish } = node.data(updates, NO_LIMIT, at(1));
  t.same(
    publish.map(({ payload }) => decode(payload).seq),
    Array.from({ length: 301 }, (_, n) => n % 256),
  );
  t.equal(decode(node.rebirth(at(2))[0]!.payload).seq, 0);
});

t.test(
  "devices: named by leading levels, born when they appear, dead when they fall silent",
  async (t) => {
    const node = bornNode({ deviceLevels: 2, deviceSilenceMs: 1_000 });
    const first = node.data([json("s/room/temp", 1), json("top", 2)], NO_LIMIT, at(1));
    t.same(verbs(first.publish), [
      "NBIRTH/edge-1 0",
      "DBIRTH/edge-1/s:room 1",
      "DDATA/edge-1/s:room 2",
      "NDATA/edge-1 3",
    ]);
    const second = node.data(
      [json("s/hall/temp", 1), json("s/room/humidity", 2)],
      NO_LIMIT,
      at(500),
    );
    t.same(verbs(second.publish), [
      "DBIRTH/edge-1/s:hall 4",
      "DBIRTH/edge-1/s:room 5",
      "DDATA/edge-1/s:hall 6",
      "DDATA/edge-1/s:room 7",
    ]);
    node.data([json("s/hall/temp", 2)], NO_LIMIT, at(1_200));
    t.same(verbs(node.silentDevices(at(1_600))), ["DDEATH/edge-1/s:room 9"]);
    t.same(node.silentDevices(at(1_601)), [], "once");
    t.same(verbs(node.rebirth(at(1_700))), ["NBIRTH/edge-1 0", "DBIRTH/edge-1/s:hall 1"]);
    const back = node.data([json("s/room/temp", 3)], NO_LIMIT, at(1_800));
    t.same(verbs(back.publish), ["DBIRTH/edge-1/s:room 2", "DDATA/edge-1/s:room 3"]);
    t.equal(byName(back.publish[0]!, "humidity")?.value, 2, "with what is known of it");
  },
);

t.test("a metric that wavers between types settles on one that holds them all", async (t) => {
  const node = bornNode();
  const kinds = (value: unknown) =>
    node.data([json("a", value)], NO_LIMIT, at(1)).publish.map(({ topic }) => topic.split("/")[2]);
  t.same(kinds(null), ["NBIRTH", "NDATA"]);
  t.same(kinds(1), ["NBIRTH", "NDATA"], "null fits any type: the first value decides");
  t.same(kinds("x"), ["NBIRTH", "NDATA"]);
  t.same(kinds(2), ["NDATA"], "no further birth");
  t.same(kinds(true), ["NDATA"]);
  const [birth] = node.rebirth(at(2));
  t.match(byName(birth!, "a"), { datatype: STRING, value: "true" });
  const raw = json("a", "", { contentType: "image/png", payload: Buffer.from([1, 2]) });
  node.data([raw], NO_LIMIT, at(3));
  t.equal(byName(node.rebirth(at(4))[0]!, "a")?.datatype, BYTES);
});

t.test(
  "a payload that does not parse is told as bad: what came, and null for its fields",
  async (t) => {
    const node = bornNode();
    node.data([json("a", { x: 1, y: 2 })], NO_LIMIT, at(1));
    const { publish } = node.data([json("a", "{broken")], NO_LIMIT, at(2));
    t.match(metricsOf(publish.at(-1)!), [
      { name: "a", value: "{broken", quality: 0 },
      { name: "a/x", isNull: true, quality: 0 },
      { name: "a/y", isNull: true, quality: 0 },
    ]);
  },
);

t.test("what no message can carry is refused in words, and takes no sequence number", async (t) => {
  const node = bornNode({ metricsMax: 2 });
  const updates = [
    json("bdSeq", 1),
    json("Node Control/Reboot", true),
    json("a", 1),
    json("b", "x".repeat(500), { contentType: "text/plain" }),
    json("c", 1),
    json("a", 2),
  ];
  const { publish, refused } = node.data(updates, 400, at(1));
  t.same(verbs(publish), ["NBIRTH/edge-1 0", "NDATA/edge-1 1", "NDATA/edge-1 2"]);
  t.match(
    refused.map(({ reason }) => reason),
    [
      /bdSeq has a meaning of its own/,
      /Node Control\/Reboot has a meaning/,
      /2 metrics already; raise metricsMax/,
      /over the broker's maximum \(400\)/,
    ],
  );
});

t.test(
  "with aliases, births name metrics with their numbers and data carries numbers alone",
  async (t) => {
    const node = bornNode({ aliases: true, deviceLevels: 1 });
    const { publish } = node.data([json("a/x", 1), json("b/x", 2)], NO_LIMIT, at(1));
    const births = publish.slice(0, 2).flatMap(metricsOf);
    const data = publish.slice(2).flatMap(metricsOf);
    t.same(
      births.map(({ name }) => name),
      ["x", "x"],
    );
    t.same(
      data.map(({ name }) => name),
      [undefined, undefined],
    );
    t.same(
      data.map(({ alias }) => alias),
      births.map(({ alias }) => alias),
    );
    t.equal(new Set(births.map(({ alias }) => alias)).size, 2, "unique across the node");
    const [nodeBirth] = node.rebirth(at(2));
    t.equal(byName(nodeBirth!, "Node Control/Rebirth")?.alias, undefined);
    t.equal(node.nameOf(data[1]!.alias!), "x");
  },
);

t.test("the agent's state is a metric, published when it changes", async (t) => {
  const node = new EdgeNode(OPTIONS);
  node.connecting(0, at(0));
  t.equal(node.state("one", at(1)), undefined, "the birth will carry it");
  t.equal(byName(node.birth(at(2))[0]!, "Agent/State")?.value, "one");
  t.equal(node.state("one", at(3)), undefined);
  t.equal(byName(node.state("two", at(4))!, "Agent/State")?.value, "two");
});

t.test(
  "streams and places are one to one, also with characters that ids can not have",
  async (t) => {
    for (const stream of ["a", "a/b", "a:b/c/d", "a%3A/b/c", "/x/y/z", "a//b", "a/b/", "a/b/c/d/e"])
      for (const levels of [0, 1, 2, 3]) {
        const place = placeOf(stream, levels);
        t.equal(streamOf(place), stream);
        t.notMatch(place.device ?? "x", /[/+#]|^$/);
      }
  },
);

t.test(
  "commands: rebirth for the node, writes by name or alias, the rest ignored, garbage refused",
  async (t) => {
    const addresses = new Addresses(OPTIONS);
    const read = (topic: string, metrics: Parameters<typeof encodeCommand>[0]) =>
      readCommand(addresses, topic, encodeCommand(metrics), (alias) =>
        alias === 3 ? "fan" : undefined,
      );
    const ncmd = "spBv1.0/plant/NCMD/edge-1";
    const dcmd = "spBv1.0/plant/DCMD/edge-1/s:room";
    const rebirth = { name: "Node Control/Rebirth", type: "Boolean", value: true };
    t.equal(read(ncmd, [rebirth])?.rebirth, true);
    t.equal(read(ncmd, [{ ...rebirth, value: false }])?.rebirth, false);
    t.equal(
      read(dcmd, [rebirth])?.rebirth,
      false,
      "a device's metric of that name is another thing",
    );
    t.equal(read("spBv1.0/plant/NCMD/other", [rebirth]), undefined);
    const command = read(dcmd, [
      { name: "set", type: "Int8", value: -5 },
      { alias: 3, type: "Double", value: 0.5 },
      { name: "on", type: "Boolean", value: false },
      { name: "text", type: "String", value: "é" },
      { name: "long", type: "Int64", value: -9 },
      { alias: 9, type: "Double", value: 1 },
      { name: "a/#", type: "Double", value: 1 },
    ]);
    t.same(
      command?.writes.map(({ stream, payload }) => [stream, Buffer.from(payload).toString()]),
      [
        ["s/room/set", "-5"],
        ["s/room/fan", "0.5"],
        ["s/room/on", "false"],
        ["s/room/text", "é"],
        ["s/room/long", "-9"],
      ],
    );
    t.same(command?.ignored, ["alias 9", "a/#"]);
    t.same(read(ncmd, [{ name: "Node Control/Reboot", type: "Boolean", value: true }])?.ignored, [
      "Node Control/Reboot",
    ]);
    for (const bytes of [[0x12, 0xff, 0xff, 0xff, 0xff, 0x0f], [0x12, 5, 10, 9], [7], [0x12]])
      t.throws(() => readCommand(addresses, ncmd, Uint8Array.from(bytes), () => undefined));
  },
);

t.test("the primary host is believed when it speaks clearly and is not a straggler", async (t) => {
  const host = new HostPresence();
  const says = (text: string) => host.take(Buffer.from(text));
  t.equal(host.presence, "unknown");
  t.equal(says('{"online":true,"timestamp":10}'), undefined);
  t.equal(host.presence, "online");
  t.match(says('{"online":false,"timestamp":9}'), /older/);
  for (const words of [
    "ONLINE",
    "[]",
    "null",
    '{"online":"yes","timestamp":11}',
    '{"online":false}',
  ])
    t.type(says(words), "string");
  t.equal(host.presence, "online");
  t.equal(says('{"online":false,"timestamp":10}'), undefined, "equal is not older");
  t.equal(host.presence, "offline");
  host.reset();
  t.equal(host.presence, "unknown");
});

t.test("bdSeq grows by one with every connect, through 255 to 0, across restarts", async (t) => {
  const store = new MemoryKeyValueStore();
  const memory = () => new NodeMemory(store, keptLog(), "up", "layout");
  const seen: number[] = [];
  for (let n = 0; n < 258; n++) seen.push(await memory().nextBirthSequence());
  t.same([seen[0], seen[1], seen[255], seen[256], seen[257]], [0, 1, 255, 0, 1]);
});

t.test(
  "declared metrics are in the first birth after a restart, unless the layout changed",
  async (t) => {
    const store = new MemoryKeyValueStore();
    const memory = (layout = "one") => new NodeMemory(store, keptLog(), "up", layout);
    const first = memory();
    t.same(await first.declarations(), []);
    const before = bornNode({ deviceLevels: 1 });
    const updates = Array.from({ length: 30 }, (_, n) => json(`d${n % 3}/m${n}`, n % 2 ? 1 : "x"));
    first.remember(before.data(updates, NO_LIMIT, at(1)).declared);
    const after = new EdgeNode({ ...OPTIONS, deviceLevels: 1 });
    for (const declaration of await memory().declarations()) after.restore(declaration);
    after.connecting(1, at(2));
    const births = after.birth(at(2));
    t.same(verbs(births), [
      "NBIRTH/edge-1 0",
      "DBIRTH/edge-1/d0 1",
      "DBIRTH/edge-1/d1 2",
      "DBIRTH/edge-1/d2 3",
    ]);
    const shape = (message: Outgoing) =>
      metricsOf(message).map(({ name, datatype }) => [name, datatype]);
    t.same(births.slice(1).map(shape), before.rebirth(at(3)).slice(1).map(shape));
    t.same(
      after.data([json("d1/m1", 5)], NO_LIMIT, at(4)).publish.length,
      1,
      "no birth for what is known",
    );
    t.same(await memory("two").declarations(), [], "metrics of another layout are forgotten");
    t.same(await memory("two").declarations(), []);
    t.same(await memory("one").declarations(), []);
  },
);
