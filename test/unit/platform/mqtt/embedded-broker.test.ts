import t from "tap";
import type { Refusal } from "../../../../src/platform/broker.ts";
import { LocalBus } from "../../../../src/platform/mqtt/local-bus.ts";
import { OrderedAcks } from "../../../../src/platform/mqtt/ordered-acks.ts";
import { OutboundWindow } from "../../../../src/platform/mqtt/outbound-window.ts";
import { PacketReader } from "../../../../src/platform/mqtt/packet-reader.ts";
import { QuietTopics } from "../../../../src/platform/mqtt/quiet-topics.ts";
import { filterMatches } from "../../../../src/platform/mqtt/topic-tree.ts";

function reader(packetBytesMax = 1_000) {
  const seen: string[] = [];
  let paused = false;
  const packets = new PacketReader(
    {
      isPaused: () => paused,
      packet: (data, start, body, end) => {
        seen.push(`${data[start]}:${data.subarray(body, end).toString("latin1")}`);
        if (seen.at(-1)?.endsWith("stop")) paused = true;
      },
      unreadable: (why, bytes) => seen.push(`${why} ${bytes}`),
    },
    packetBytesMax,
  );
  return { packets, seen, go: () => ((paused = false), packets.resume()) };
}

const packet = (body: string): Buffer =>
  Buffer.concat([Buffer.from([0x30, body.length]), Buffer.from(body, "latin1")]);

t.test("a paused reader keeps what comes, in order", async (t) => {
  const { packets, seen, go } = reader();
  packets.push(
    Buffer.concat([packet("a"), packet("stop"), packet("b"), packet("c").subarray(0, 2)]),
  );
  packets.push(packet("c").subarray(2));
  packets.push(packet("d"));
  t.same(seen, ["48:a", "48:stop"]);
  go();
  t.same(seen, ["48:a", "48:stop", "48:b", "48:c", "48:d"]);
});

t.test(
  "a packet over the maximum is told before its body is there, and nothing after it",
  async (t) => {
    const { packets, seen } = reader(100);
    packets.push(Buffer.concat([packet("x".repeat(98)), Buffer.from([0x30, 99])]));
    packets.push(packet("a"));
    t.same(seen.slice(1), ["too-large 101"]);
    const malformed = reader();
    malformed.packets.push(Buffer.from([0x30, 0xff, 0xff]));
    malformed.packets.push(Buffer.from([0xff, 0xff, 0x01]));
    t.same(malformed.seen, ["malformed 5"]);
    for (const head of [0x00, 0x36, 0x47, 0x80, 0xf1]) {
      const { packets, seen } = reader();
      packets.push(Buffer.from([head]));
      t.same(seen, ["malformed 1"], "told by the first byte");
    }
  },
);

t.test("acknowledgements leave in the order in which the messages came", async (t) => {
  const sent: [number, string | undefined][] = [];
  const acks = new OrderedAcks((id, refusal) => sent.push([id, refusal?.code]));
  const refusal: Refusal = { code: "outbox.full", message: "no room" };
  const tickets = Array.from({ length: 40 }, (_, n) => acks.open(n + 1));
  for (const ticket of tickets.slice(1).toReversed())
    acks.settle(ticket, ticket === 7 ? refusal : undefined);
  t.same(sent, []);
  t.equal(acks.pending, 40);
  acks.settle(tickets[0]!, undefined);
  t.same(
    sent,
    tickets.map((ticket) => [ticket + 1, ticket === 7 ? "outbox.full" : undefined]),
  );
  t.equal(acks.pending, 0);
});

/** QoS 1 or 0 PUBLISH to `t` with this id. */
const publish = (id: number, bytes = 0): Buffer =>
  id === 0
    ? Buffer.from([0x30, 3 + bytes, 0, 1, 0x74, ...new Uint8Array(bytes)])
    : Buffer.from([0x32, 5 + bytes, 0, 1, 0x74, 0, id, ...new Uint8Array(bytes)]);

t.test("no more is in flight than the subscriber allows, and order is kept", async (t) => {
  const wire: number[] = [];
  const skipped: number[] = [];
  let drained = 0;
  const window = new OutboundWindow({
    write: (frame) => wire.push(frame.length > 6 ? frame.readUInt16BE(5) : 0),
    skipped: (_qos, id) => skipped.push(id),
    drained: () => drained++,
  });
  window.limit({ receiveMaximum: 2, packetBytesMax: 20 });
  for (const id of [1, 2, 3, 4]) window.send(publish(id));
  window.send(publish(0));
  t.same(wire, [1, 2, 0], "QoS 0 needs no acknowledgement");
  t.ok(window.heldBytes > 0);
  window.acknowledged(9);
  t.same(wire, [1, 2, 0], "an id that is not in flight frees nothing");
  window.acknowledged(2);
  window.acknowledged(2);
  t.same(wire, [1, 2, 0, 3]);
  window.acknowledged(1);
  t.same(wire, [1, 2, 0, 3, 4]);
  t.equal(window.heldBytes, 0);
  t.equal(drained, 1);
  window.send(publish(5, 30));
  t.same(skipped, [5], "too large for the subscriber");
});

t.test("a topic is quiet only when it is known that nobody listens", async (t) => {
  let generation = 1;
  const sessions = new Set<string>();
  const lookedUp: string[] = [];
  const quiet = new QuietTopics({
    generation: () => generation,
    hasListener: (topic) => topic === "heard",
    hasSession: (topic) => {
      lookedUp.push(topic);
      return topic === "broken"
        ? Promise.reject(new Error("no"))
        : Promise.resolve(sessions.has(topic));
    },
  });
  const settled = () => new Promise((resolve) => setImmediate(resolve));
  t.equal(quiet.isQuiet("a"), false, "not known yet");
  t.equal(quiet.isQuiet("heard"), false);
  t.equal(quiet.isQuiet("broken"), false);
  await settled();
  t.equal(quiet.isQuiet("a"), true);
  t.equal(quiet.isQuiet("heard"), false);
  t.equal(quiet.isQuiet("broken"), false);
  t.same(lookedUp, ["a", "broken"], "asked once each");
  generation++;
  sessions.add("a");
  t.equal(quiet.isQuiet("a"), false, "a subscription came: all is unknown again");
  await settled();
  t.equal(quiet.isQuiet("a"), false);
  quiet.isQuiet("late");
  generation++;
  await settled();
  t.equal(quiet.isQuiet("late"), false, "an answer to an older question counts for nothing");
  t.equal(quiet.isQuiet("x".repeat(600)), false);
});

t.test("of several subscriptions the one with the highest QoS comes first", async (t) => {
  const heard: string[] = [];
  const bus = new LocalBus((filter) => (filter === "a/b" ? 2 : 0));
  const low = (): unknown => heard.push("low");
  const high = (): unknown => heard.push("high");
  bus.on("a/#", low);
  bus.on("a/b", high);
  bus.emit({ topic: "a/b" });
  t.same(heard, ["high", "low"]);
  const { generation } = bus;
  bus.removeListener("a/#", low);
  t.ok(bus.generation > generation);
  t.equal(bus.hasListener("a/c"), false);
  t.equal(bus.hasListener("a/b"), true);
  await new Promise<void>((resolve) => bus.close(resolve));
  bus.emit({ topic: "a/b" }, (error) => t.match(error, /closed/));
});

t.test("filters match as MQTT 5 section 4.7 says", async (t) => {
  for (const [filter, topic, matches] of [
    ["sport/#", "sport", true],
    ["sport/+", "sport", false],
    ["sport/+", "sport/", true],
    ["+/+", "/finance", true],
    ["#", "$SYS/x", false],
    ["+/x", "$SYS/x", false],
    ["$SYS/#", "$SYS/x", true],
    ["a/b", "a/b/c", false],
    ["a/+/c", "a/b/c", true],
  ] as const)
    t.equal(filterMatches(filter, topic), matches, `${filter} ${topic}`);
});
